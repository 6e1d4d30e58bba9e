import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { printReply } from '../../../src/cli/replies.ts';

let written = '';

beforeEach(() => {
  written = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    written += String(text);
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

const plain = { paint: (text: string) => text, quiet: false, body: true };

// From console/control.txt, console/inspect_*.txt and console/v5.6.2/status.txt.
it.each([
  [{ ok: 'pong' }, '->  w@h: OK\n        pong\n'],
  [{ ok: 'new rate limit set successfully' }, '->  w@h: OK\n        new rate limit set successfully\n'],
  [{ error: 'unknown task' }, '->  w@h: ERROR\n        unknown task\n'],
  [{ ok: '\none\ntwo' }, '->  w@h: OK\n        \n        one\n        two\n'],
  [[], '->  w@h: OK\n    - empty -\n'],
  [['tasks.add'], '->  w@h: OK\n    * tasks.add\n'],
  [
    [{ args: [1], kwargs: {}, time_start: null }],
    "->  w@h: OK\n    * {'args': [1], 'kwargs': {}, 'time_start': None}\n",
  ],
  ['53.008MB', '->  w@h: OK\n    53.008MB\n'],
  [null, '->  w@h: OK\n    None\n'],
  [
    { b: 1, a: { d: 2, c: [] } },
    '->  w@h: OK\n    {\n        "a": {\n            "c": [],\n            "d": 2\n        },\n        "b": 1\n    }\n',
  ],
])('prints %j', (reply, text) => {
  printReply('w@h', reply, plain);
  expect(written).toBe(text);
});

it('leaves out the arrow when quiet, and the body for status', () => {
  printReply('w@h', { ok: 'pong' }, { ...plain, quiet: true, body: false });
  expect(written).toBe(' w@h: OK\n');
});

it('colours as Celery does on a terminal', () => {
  const paint = (text: string, ...codes: readonly (number | string)[]) => `<${codes.join()}>${text}</>`;
  printReply('w@h', { error: 'unknown task' }, { ...plain, paint });
  expect(written).toBe('<37,1>-></>  <36,1>w@h: </><31,1>ERROR</>\n        unknown task\n');
});
