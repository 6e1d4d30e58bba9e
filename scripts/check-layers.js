// Fails when a file of src imports upward, sideways between folders of one layer, or in a cycle, or imports src/index.ts.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Lowest first; a folder may import from itself and from folders with a lower number. */
const LAYERS = {
  core: 0,
  settings: 1,
  message: 1,
  schedule: 1,
  redis: 1,
  sqlite: 1,
  transport: 2,
  backend: 3,
  monitor: 4,
  canvas: 4,
  app: 5,
  pool: 6,
  beat: 6,
  worker: 7,
  testing: 8,
  cli: 8,
};

const root = resolve('src');
const files = readdirSync(root, { recursive: true })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join(root, name));
const folder = (file) => relative(root, file).split('/')[0];
const IMPORT = /^\s*(?:import|export)\s+(type\s)?(?:[^'"`;]*?\sfrom\s+)?['"](\.[^'"]+)['"]/gm;

const problems = [];
const graph = new Map();
for (const file of files) {
  const runtime = [];
  for (const [, isType, target] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    const imported = resolve(dirname(file), target);
    const here = relative('', file);
    if (imported === join(root, 'index.ts')) problems.push(`${here} imports src/index.ts`);
    if (!isType) runtime.push(imported);
    if (file === join(root, 'index.ts')) continue;
    const [from, to] = [folder(file), folder(imported)];
    if (!(from in LAYERS)) problems.push(`${here}: folder src/${from} has no layer`);
    else if (from !== to && !(LAYERS[to] < LAYERS[from]))
      problems.push(`${here} (${from}) imports ${relative('', imported)} (${to})`);
  }
  graph.set(file, runtime);
}

const done = new Set();
function visit(file, trail) {
  if (trail.includes(file)) {
    const cycle = [...trail.slice(trail.indexOf(file)), file].map((name) => relative(root, name));
    problems.push(`cycle: ${cycle.join(' -> ')}`);
    return;
  }
  if (done.has(file)) return;
  for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
  done.add(file);
}
for (const file of files) visit(file, []);

for (const problem of problems) console.error(problem);
console.log(`${files.length} files, ${problems.length} layer problems`);
process.exit(problems.length > 0 ? 1 : 0);
