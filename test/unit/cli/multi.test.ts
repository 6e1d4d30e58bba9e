import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../../src/cli/main.ts';
import { readWords } from '../../../src/cli/multi/words.ts';

let out = '';
let err = '';

beforeEach(() => {
  [out, err] = ['', ''];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** What is printed, with the paths of Python's `show` in place of ours. */
async function printed(line: string, ...before: string[]): Promise<string> {
  await run([...before, 'multi', ...line.split(' ')], {});
  return out
    .replaceAll(process.execPath, '/usr/bin/python3')
    .replaceAll(/\S+\/bin\/celery-ts\.js /g, '-m celery ');
}

const START = '/usr/bin/python3 -m celery worker --detach';
const PYTHON = '--executable=/usr/bin/python3';
const files = (name: string) =>
  `--pidfile=/var/run/celery/${name}.pid --logfile=/var/log/celery/${name}%I.log ${PYTHON}`;
const five = (options: readonly string[]) =>
  options.map(
    (text, index) =>
      `${START} ${text} -n celery${String(index + 1)}@example.com ${files(`celery${String(index + 1)}`)}`,
  );

// Where no difference is noted, what Celery 5.2.6 prints for the same words.
describe('multi', () => {
  it.each([
    ['names 3 --hostname=example.com', ['celery1@example.com', 'celery2@example.com', 'celery3@example.com']],
    ['names 2 --range-prefix=w -n h', ['w1@h', 'w2@h']],
    ['names 2 -n h --json', ['["celery1@h", "celery2@h"]']],
    ['expand %n,%h 2 -n h -j', ['["celery1,celery1@h", "celery2,celery2@h"]']],
    ['names a b@x c@%h --hostname=h', ['a@h', 'b@x', `c@${hostname()}`]],
    ['names foo bar@x --prefix=p --suffix=s.com', ['pfoo@s.com', 'bar@x']],
    [
      'expand %n,%N,%h,%d,%i,%I,%% image@example.com video@example.com',
      [
        'image,image,image@example.com,example.com,%i,%I,%',
        'video,video,video@example.com,example.com,%i,%I,%',
      ],
    ],
    [
      'get celery1@example.com 3 --hostname=example.com -c 3 -c:1 10',
      [`-m celery worker --detach -c 10 -n celery1@example.com ${files('celery1')}`],
    ],
    [
      'show 5 --hostname=example.com -c 3 -c:1-3 10 -Q:1,2 images -Q default',
      five(['-c 10 -Q images', '-c 10 -Q images', '-c 10 -Q default', '-c 3 -Q default', '-c 3 -Q default']),
    ],
    [
      'show foo@h bar@h -c:bar 4 -c 2 -c:1=7 --time-limit:2=9',
      [`${START} -c 7 -n foo@h ${files('foo')}`, `${START} -c 4 --time-limit=9 -n bar@h ${files('bar')}`],
    ],
    [
      'show 2 -A tasks --hostname=h -c 3 --pidfile=/run/%n.pid --logfile=/run/%n%I.log',
      [1, 2].map(
        (n) =>
          `/usr/bin/python3 -m celery -A tasks worker --detach -c 3 --pidfile=/run/celery${String(n)}.pid ` +
          `--logfile=/run/celery${String(n)}%I.log -n celery${String(n)}@h ${PYTHON}`,
      ),
    ],
    // What Python takes for the name of a node: the values of long options, and names behind switches.
    ['names -E one --pidfile run/%n.pid two --hostname h', ['one@h', 'two@h']],
    [
      'get a@h a@h --append=x.y=%n --executable=/node -- worker.z=1',
      [
        '-m celery worker --detach --executable=/node -n a@h --pidfile=/var/run/celery/a.pid ' +
          '--logfile=/var/log/celery/a%I.log -- worker.z=1 x.y=a',
      ],
    ],
    ['get a@h a@h --cmd=run.js%%worker -lINFO', [`run.js%%worker -l INFO -n a@h ${files('a')}`]],
  ])('%s', async (line, expected) => {
    expect((await printed(line)).trimEnd().split('\n')).toEqual(expected);
    expect(err).toBe('');
  });

  it('hands what stands before it to the workers', async () => {
    expect(await printed('get a@h a@h', '-A', 'tasks', '-b', 'memory://')).toBe(
      `-m celery -A tasks -b memory:// worker --detach -n a@h ${files('a')}\n`,
    );
  });

  it.each([
    ['names 3 -c:4 1', "Error: There is no node '4'. The nodes are celery1@", 1],
    ['names a -c:b 1', "Error: There is no node 'b'. The nodes are a@", 1],
    ['names 3 -c:0 1', "Error: There is no node '0'.", 1],
    ['get nope 2', "Error: There is no node 'nope'.", 1],
    ['show', 'Error: No nodes are named', 1],
    ['expand %z a', 'Error: Unknown format %z', 1],
    ['nosuch', 'Invalid command: nosuch', 1],
    ['help', '', 0],
    ['--nosplash', '', 0],
  ])('%s ends with its code', async (line, problem, code) => {
    expect(await run(['multi', ...line.split(' ')], {})).toBe(code);
    expect(err).toContain(problem);
  });

  it('prints the usage, with the version unless --nosplash', async () => {
    await run(['multi'], {});
    expect(out).toMatch(/^celery-ts multi v\d+\.\d+\.\d+\nusage: multi start /);
    out = '';
    await run(['multi', '--nosplash'], {});
    expect(out).toMatch(/^usage: multi start /);
  });
});

describe('signals of multi', () => {
  it.each([
    [['a', '-9'], 'SIGKILL'],
    [['a', '-HUP'], 'SIGHUP'],
    [['-SIGQUIT', 'a'], 'SIGQUIT'],
    [['a', '-E'], undefined],
    [['a'], undefined],
  ] as const)('%j', (words, signal) => {
    expect(readWords(words, () => undefined, true)).toMatchObject({ values: ['a'], signal });
  });
});
