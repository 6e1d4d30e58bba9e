import { describe, expect, it } from 'vitest';
import { banner, taskList } from '../../../src/cli/banner.ts';
import { directQueue } from '../../support/messages.ts';

const facts = {
  hostname: 'worker@example.com',
  version: '0.1.0',
  app: 'tasks',
  file: '/srv/proj/tasks.ts',
  transport: 'amqp://guest:**@127.0.0.1:5672/surface',
  results: 'rpc://',
  taskEvents: false,
  concurrency: '2 (prefork)',
  queues: [directQueue('celery')],
  now: new Date(2026, 10, 22, 15, 2, 3),
};

describe('banner', () => {
  it('has the shape of Celery’s', () => {
    const lines = banner(facts).split('\n');
    expect(lines[3]).toMatch(/^-- \*{7} ---- \S+-with-node\S+ 2026-11-22 15:02:03$/);
    expect(lines[6]).toMatch(/^- \*\* -{10} \.> app: {9}tasks:0x[0-9a-f]{12}$/);
    lines[3] = '<platform>';
    lines[6] = '<app>';
    expect(lines).toEqual([
      ' ',
      ' -------------- worker@example.com v0.1.0',
      '--- ***** ----- ',
      '<platform>',
      '- *** --- * --- ',
      '- ** ---------- [config]',
      '<app>',
      '- ** ---------- .> transport:   amqp://guest:**@127.0.0.1:5672/surface',
      '- ** ---------- .> results:     rpc://',
      '- *** --- * --- .> concurrency: 2 (prefork)',
      '-- ******* ---- .> task events: OFF (enable -E to monitor tasks in this worker)',
      '--- ***** ----- ',
      ' -------------- [queues]',
      '                .> celery           exchange=celery(direct) key=celery',
      '                ',
      '',
    ]);
  });

  it('lists each queue, without the blank line of a single one', () => {
    const text = banner({ ...facts, queues: [directQueue('alpha'), directQueue('beta')] });
    expect(text.split('\n').slice(-3)).toEqual([
      '                .> alpha            exchange=alpha(direct) key=alpha',
      '                .> beta             exchange=beta(direct) key=beta',
      '',
    ]);
  });

  it('shows the same id of an app at every start, and another of another app', () => {
    const id = (text: string) => /0x\w+/.exec(text)?.[0];
    expect(id(banner(facts))).toBe(id(banner({ ...facts, hostname: 'other@host' })));
    expect(id(banner(facts))).not.toBe(id(banner({ ...facts, file: '/srv/other/tasks.ts' })));
  });
});

it('lists tasks by name', () => {
  expect(taskList(['tasks.xsum', 'tasks.add'])).toBe('[tasks]\n  . tasks.add\n  . tasks.xsum\n');
});
