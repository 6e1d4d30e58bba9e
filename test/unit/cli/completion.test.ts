import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { run } from '../../../src/cli/main.ts';

async function script(shell: string): Promise<string> {
  let out = '';
  const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => ((out += String(text)), true));
  const code = await run(['completion', shell], {});
  spy.mockRestore();
  expect(code).toBe(0);
  return out;
}

describe('completion in bash', () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'celery-ts-completion-'));
    writeFileSync(join(folder, 'celery-ts.bash'), await script('bash'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const offers = (...words: readonly string[]): string[] => {
    const typed = words.map((word) => `"${word}"`).join(' ');
    const program =
      `source "$1"; COMP_WORDS=(celery-ts ${typed}); COMP_CWORD=${String(words.length)}; _celery_ts; ` +
      'printf "%s\\n" "${COMPREPLY[@]}"';
    const output = execFileSync('bash', ['-c', program, 'bash', join(folder, 'celery-ts.bash')], {
      encoding: 'utf8',
    });
    return output.trim().split('\n').filter(Boolean);
  };

  it.each([
    [['wor'], ['worker']],
    [['-A', 'worker', 'sta'], ['status']],
    [['--ap'], ['--app']],
    [['worker', '--conc'], ['--concurrency']],
    [['worker', '-c', ''], []],
    [['worker', '-c', '3', '--conc'], ['--concurrency']],
    [
      ['amqp', 'queue.d'],
      ['queue.declare', 'queue.delete'],
    ],
    [['amqp', 'queue.declare', '--js'], ['--json']],
    [
      ['inspect', 'act'],
      ['active', 'active_queues'],
    ],
    [['control', 'pool_g'], ['pool_grow']],
    [
      ['multi', 'stop'],
      ['stop', 'stopwait'],
    ],
    [
      ['config', ''],
      ['check', '--help'],
    ],
  ])('%j', (words, expected) => {
    expect(offers(...words)).toEqual(expected);
  });
});

it.each([
  ['zsh', /^#compdef celery-ts\n[^]*'worker:start a worker'[^]*"worker"\) offers=\([^)]*'--concurrency:/],
  ['fish', /-n '[^']*' -a 'worker' -d 'start a worker'\n[^]*__fish_seen_subcommand_from worker' -s c -r -d /],
])('there is a script for %s', async (shell, pattern) => {
  expect(await script(shell)).toMatch(pattern);
});
