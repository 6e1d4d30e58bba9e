import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
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

/** What a shell offers for the last of these words. */
type Offers = (script: string, words: readonly string[]) => Promise<string[]>;

const exec = promisify(execFile);

const has = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).status === 0;
const lines = (output: string): string[] => output.trim().split('\n').filter(Boolean);

const bash: Offers = async (script, words) => {
  const typed = words.map((word) => `"${word}"`).join(' ');
  const program =
    `source "$1"; COMP_WORDS=(celery-ts ${typed}); COMP_CWORD=${String(words.length)}; _celery_ts; ` +
    'printf "%s\n" "${COMPREPLY[@]}"';
  return lines((await exec('bash', ['-c', program, 'bash', script])).stdout);
};

/** In a terminal of its own, as zsh completes in no other: what Tab and then the list of all matches show. */
let zshRuns = 0;
const zsh: Offers = async (file, words) => {
  zshRuns += 1;
  const script = `${file}.${String(zshRuns)}`;
  // Ready when the line is being edited: what is typed before would go to the terminal, whose own ^U takes it away.
  // `compadd` is what every function of completion ends in; it tells what matches the word that is typed.
  const program = `
    zmodload zsh/zpty; zpty -b shell zsh -f -i
    zpty -w shell 'PS1=; autoload -Uz compinit; compinit -u -D; source ${file}'
    zpty -w shell 'compadd() { local -a hits; builtin compadd -O hits "$@" 2>/dev/null; print -rl -- "HIT:"\${^hits} >> ${script}.hits; builtin compadd "$@"; }'
    zpty -w shell 'zle -C offer complete-word _main_complete; bindkey "^T" offer; zle-line-init() { print -r READY >> ${script}.ready }; zle -N zle-line-init'
    until [[ -e ${script}.ready ]]; do zpty -r -t shell line; sleep 0.02; done
    zpty -n -w shell 'celery-ts ${words.join(' ')}'$'\x14'
    zpty -n -w shell $'\x15''print -r DONE >> ${script}.done'$'\n'
    until [[ -e ${script}.done ]]; do zpty -r -t shell line; sleep 0.02; done
    zpty -d shell`;
  await exec('zsh', ['-f', '-c', program], { timeout: 30_000 });
  const hits = existsSync(`${script}.hits`) ? readFileSync(`${script}.hits`, 'utf8') : '';
  return [...new Set([...hits.matchAll(/^HIT:(.+)$/gm)].map(([, word = '']) => word))];
};

const fish: Offers = async (script, words) => {
  const program = `source ${script}; complete -C "celery-ts ${words.join(' ')}"`;
  const { stdout } = await exec('fish', ['--no-config', '-c', program]);
  return lines(stdout).map((line) => line.replace(/\t.*/, ''));
};

const SHELLS: readonly (readonly [string, Offers])[] = [
  ['bash', bash],
  ['zsh', zsh],
  ['fish', fish],
];

// In CI scripts/test.sh has installed all of them; elsewhere a shell may not be there.
const tried = SHELLS.filter(([shell]) => process.env['CI'] !== undefined || has(shell));

describe.each(tried)('completion in %s', { timeout: 60_000 }, (shell, offered) => {
  let folder: string;
  let file: string;
  const here = process.cwd();
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'celery-ts-completion-'));
    file = join(folder, `celery-ts.${shell}`);
    writeFileSync(file, await script(shell));
    // Values of options are completed as files: there are none.
    mkdirSync(join(folder, 'empty'));
    process.chdir(join(folder, 'empty'));
  });
  afterAll(() => {
    process.chdir(here);
    rmSync(folder, { recursive: true });
  });

  const offers = async (...words: readonly string[]) => (await offered(file, words)).sort();

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
  ])('%j', async (words, expected) => {
    // fish offers options once a hyphen is typed.
    const options = shell !== 'fish' || words.at(-1)?.startsWith('-') === true;
    expect(await offers(...words)).toEqual(
      expected.filter((word) => options || !word.startsWith('-')).sort(),
    );
  });
});
