// The main job in one go: a worker on the embedded broker, a client that sends tasks and prints their results, a clean stop.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const root = resolve(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'celery-ts-first-steps-'));
cpSync(join(root, 'examples/first-steps'), folder, { recursive: true });
writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
mkdirSync(join(folder, 'node_modules'));
symlinkSync(root, join(folder, 'node_modules/celery-ts'));
symlinkSync(join(root, 'node_modules/tsx'), join(folder, 'node_modules/tsx'));

const run = (args, stdio) => spawn(process.execPath, args, { cwd: folder, stdio });

console.log('$ celery-ts -A tasks worker --loglevel=INFO');
const worker = run(
  [join(root, 'bin/celery-ts.js'), '-A', 'tasks', 'worker', '--loglevel=INFO', '-c', '2'],
  ['ignore', 'inherit', 'pipe'],
);
const workerEnd = once(worker, 'exit');
let code = 1;
try {
  const lines = createInterface({ input: worker.stderr });
  lines.on('line', (line) => console.log(line));
  const ready = new Promise((done) => lines.on('line', (line) => line.endsWith(' ready.') && done(true)));
  if (!(await Promise.race([ready, workerEnd.then(() => false)])))
    throw new Error('The worker ended before it was ready.');

  console.log('$ npx tsx client.ts');
  const client = run(['--import', 'tsx', 'client.ts'], 'inherit');
  [code] = await once(client, 'exit');
} finally {
  worker.kill('SIGTERM');
  await workerEnd;
  rmSync(folder, { recursive: true });
}
process.exitCode = code ?? 1;
