import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery, chain, chord, group } from '../../src/index.ts';
import type { AnyResult, AnySignature } from '../../src/index.ts';
import { startCli, type RunningCli } from '../support/cli.ts';
import { createProject, type Project } from '../support/project.ts';

const TASKS = `
import { appendFileSync } from 'node:fs';
import { Celery } from 'celery-ts';
export const app = new Celery('tasks', { broker: process.env.BROKER, backend: process.env.BROKER });
const note = ({ request }, label: string) => {
  appendFileSync('notes', JSON.stringify([label, request.stamps, request.stampedHeaders, request.retries]) + '\\n');
};
const node = app.task('node', { bind: true, typing: false }, (self) => {
  note(self, self.request.kwargs.label);
  if (self.request.kwargs.label === 'fail') throw new TypeError('no');
});
app.task('again', { bind: true }, (self) => {
  note(self, 'again');
  if (self.request.retries === 0) throw self.retry({ countdown: 0 });
});
app.task('replaced', { bind: true }, (self) => {
  const sig = (label: string) => node.signature([], { kwargs: { label } });
  self.replace(sig('first').stamp({ customer: 'own', more: 1 }).pipe(sig('second')));
});
app.task('hang', { bind: true }, (self, label) => {
  note(self, label);
  return new Promise((resolve) => setTimeout(resolve, 60_000));
});
`;

describe('stamps of canvases, in a worker with two processes', { timeout: 60_000 }, () => {
  let project: Project;
  let app: Celery;
  let worker: RunningCli;
  let before = 0;
  beforeAll(async () => {
    project = createProject({ 'tasks.ts': TASKS, notes: '' });
    const env = { BROKER: `sqlite:///${project.path('celery.db')}` };
    app = new Celery('client', { broker: env.BROKER, backend: env.BROKER });
    app.markConfigured();
    worker = startCli(['-A', 'tasks', 'worker', '-n', 'w@h', '-c', '2', '-l', 'INFO'], {
      cwd: project.folder,
      env,
    });
    await worker.waitFor(/ ready\./, 60_000);
  });
  afterAll(async () => {
    worker.kill('SIGTERM');
    await worker.ended;
    await app.close();
    project.remove();
  });
  const notes = (): unknown[] =>
    readFileSync(project.path('notes'), 'utf8')
      .split('\n')
      .slice(before, -1)
      .map((line): unknown => JSON.parse(line));
  const node = (label: string) => app.signature('node', [], { kwargs: { label }, immutable: true });
  const stamps = { customer: 'acme', batch: ['1', '2'] };
  const marked = (label: string, retries = 0): unknown => [label, stamps, ['customer', 'batch'], retries];

  it.each<[string, () => AnySignature, readonly unknown[]]>([
    ['a chain', () => chain(node('a'), node('b')), [marked('a'), marked('b')]],
    ['a group', () => group(node('a'), node('b')), [marked('a'), marked('b')]],
    [
      'a chord in a chain',
      () => chain(node('a'), chord([node('b'), chain(node('c'), node('d'))], node('e')), node('f')),
      ['a', 'b', 'c', 'd', 'e', 'f'].map((label) => marked(label)),
    ],
    ['callbacks', () => node('a').link(group(node('b'), node('c'))), ['a', 'b', 'c'].map((l) => marked(l))],
    ['an error callback', () => node('fail').onError(node('told')), [marked('fail'), marked('told')]],
    ['the next run of a task', () => app.signature('again'), [marked('again'), marked('again', 1)]],
    [
      'what a task goes on as, whose own stamps stay',
      () => app.signature('replaced'),
      [
        ['first', { ...stamps, customer: 'own', more: 1 }, ['customer', 'more', 'batch'], 0],
        marked('second'),
      ],
    ],
  ])('are on %s', async (_, make, expected) => {
    before = 0;
    before = notes().length;
    await app.signature(make()).stamp(stamps).delay();
    const byLabel = (): unknown[] => notes().sort((a, b) => String(a).localeCompare(String(b)));
    await expect.poll(byLabel, { timeout: 20_000 }).toEqual(expected);
  });

  it('revoke a canvas by what it is stamped with, what runs and what waits, also while processes start', async () => {
    const hang = (label: string) => app.signature('hang', [label]);
    for (const customer of ['first', 'second']) {
      before = 0;
      before = notes().length;
      const members = group(hang('a'), hang('b'), hang('c'), hang('d')).stamp({ customer });
      const result = await members.delay();
      const body = (await chord([hang('e')], node('f'))
        .stamp({ customer })
        .delay()) as AnyResult;
      // The second time there are no processes yet that could have begun them.
      await expect.poll(() => received(result.results.map(({ id }) => id))).toBe(4);
      await app.control.revokeByStampedHeaders({ customer }, { terminate: true });
      for (const member of result.results) {
        await expect(member.get({ timeout: 20 })).rejects.toMatchObject({ name: 'TaskRevokedError' });
      }
      await expect(body.get({ timeout: 20 })).rejects.toThrow(/TaskRevokedError/);
    }
  });
  const received = (ids: readonly string[]): number =>
    ids.filter((id) => worker.output.includes(`hang[${id}] received`)).length;
});
