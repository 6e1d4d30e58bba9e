import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Celery, chain, group } from '../../src/index.ts';
import { errorMeta, resultMeta } from '../contract/backend-suite.ts';
import { runCli } from '../support/cli.ts';
import type { CliResult } from '../support/cli.ts';
import { createProject } from '../support/project.ts';
import type { Project } from '../support/project.ts';

const hasGraphviz = spawnSync('dot', ['-V']).status === 0;

let project: Project;
beforeAll(async () => {
  project = createProject({
    'tasks.ts': `import { Celery } from 'celery-ts';
export const app = new Celery('tasks', { broker: 'memory://', backend: 'sqlite:///results.db' });`,
  });
  const app = new Celery('tasks', { backend: `sqlite:///${join(project.folder, 'results.db')}` });
  app.markConfigured();
  const child = app.AsyncResult('child');
  await app.backend.store(resultMeta('root', 'SUCCESS', 1, { children: [child.asTuple()] }));
  await app.backend.store(errorMeta('child', 'FAILURE'));
  await app.GroupResult('saved', [app.AsyncResult('root'), app.AsyncResult('unknown')]).save();
  await app.close();
});
afterAll(() => project.remove());

const graph = (args: string, more: { input?: string; path?: string } = {}): Promise<CliResult> =>
  runCli(['-A', 'tasks', 'graph', ...args.split(' ')], {
    cwd: project.folder,
    ...(more.input !== undefined && { input: more.input }),
    ...(more.path !== undefined && { env: { PATH: more.path } }),
  });

describe('celery-ts graph', () => {
  it('draws the tree of a result, and of a saved group', async () => {
    const { stdout, code } = await graph('result root');
    expect(code).toBe(0);
    expect(stdout).toContain('"root" [label="root\\nSUCCESS", fillcolor="palegreen3"]');
    expect(stdout).toContain('"child" [label="child\\nFAILURE", fillcolor="salmon"]');
    expect(stdout).toContain('"root" -> "child"');
    const group = await graph('result -i saved');
    expect(group.stdout).toContain('"saved" -> "unknown"');
    expect(group.stdout).toContain('"unknown" [label="unknown\\nPENDING"');
  });

  it('gives nodes and edges to programs', async () => {
    const { stdout, code } = await graph('result --json root');
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      {
        nodes: [
          { id: 'root', label: ['root', 'SUCCESS'] },
          { id: 'child', label: ['child', 'FAILURE'] },
        ],
        edges: [{ from: 'root', to: 'child' }],
      },
    ]);
    const input = JSON.stringify({ task: 'tasks.add', args: [1], kwargs: {}, options: {} });
    expect((await graph('canvas -j -o canvas.json', { input })).code).toBe(0);
    expect(JSON.parse(readFileSync(join(project.folder, 'canvas.json'), 'utf8'))).toEqual({
      nodes: [{ id: 't0', label: ['tasks.add', '(1,)'] }],
      edges: [],
    });
  });

  it('says what has not ended', async () => {
    const { stderr, code } = await graph('result unknown');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/not ended yet.*--intermediate/)]);
  });

  it('draws a canvas as its own graph() does, and as a picture that Graphviz makes of it', async () => {
    await using app = new Celery('graph', { broker: 'memory://' });
    const [add, sum] = [
      app.task('add', (x: number, y: number) => x + y),
      app.task('sum', (x: number[]) => x),
    ];
    const drawn = await chain(group(add.s(1, 1), add.s(2, 2)), sum.s().onError(add.s())).graph();
    expect(drawn).toContain('"t2" -> "t3" [label="link_error"');
    const input = JSON.stringify(chain(group(add.s(1, 1), add.s(2, 2)), sum.s().onError(add.s())));
    expect((await graph('canvas', { input })).stdout.trim()).toBe(drawn);
    if (!hasGraphviz) return;
    expect((await graph('canvas -o real.svg', { input })).code).toBe(0);
    const picture = readFileSync(join(project.folder, 'real.svg'), 'utf8');
    expect(picture).toContain('<svg');
    expect(picture.match(/>add</g)).toHaveLength(3);
  });

  it('draws a canvas that is piped in, into a file and as a picture', async () => {
    const signature = { task: 'tasks.add', args: [1], kwargs: {}, options: {}, subtask_type: null };
    const input = JSON.stringify(signature);
    const drawn = await graph('canvas', { input });
    expect(drawn.stdout).toContain('"t0" [label="tasks.add\\n(1,)"]');
    expect((await graph('canvas -o canvas.dot', { input })).code).toBe(0);
    const path = join(project.folder, 'canvas.dot');
    expect(readFileSync(path, 'utf8')).toBe(drawn.stdout);
    // Graphviz may not be there: what it is asked is looked at.
    const dot = join(project.folder, 'dot');
    writeFileSync(dot, `#!/bin/sh\n{ echo "$@"; cat; } > asked\n`);
    chmodSync(dot, 0o755);
    const picture = await graph('canvas canvas.dot.json -o canvas.svg', { path: project.folder });
    expect(picture.stderr).toMatch(/Cannot read .*canvas\.dot\.json/);
    const { code, stderr } = await graph('canvas - -o canvas.svg', {
      input,
      path: `${project.folder}:${process.env.PATH ?? ''}`,
    });
    expect([code, stderr]).toEqual([0, '']);
    expect(readFileSync(join(project.folder, 'asked'), 'utf8')).toBe(
      `-Tsvg -o ${join(project.folder, 'canvas.svg')}\n${drawn.stdout.trimEnd()}`,
    );
  });

  it.each([
    ['no JSON', '{', {}, 1, /holds no signature/],
    ['no signature', '{"a": 1}', {}, 1, /holds no signature/],
    ['no Graphviz', '{"task": "a"}', { path: '/nowhere' }, 69, /is not installed.*\| dot -Tpng -o FILE/],
  ])('says %s', async (_, input, more, code, message) => {
    const result = await graph('canvas -o out.png', { input, ...more });
    expect([result.code, result.stderr]).toEqual([code, expect.stringMatching(message)]);
    expect(existsSync(join(project.folder, 'out.png'))).toBe(false);
  });
});
