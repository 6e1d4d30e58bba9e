import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import type { Celery } from '../app/celery.ts';
import type { GroupResult } from '../app/group-result.ts';
import { canvasGraph } from '../canvas/graph.ts';
import { resultGraph } from '../app/result-graph.ts';
import { writeDot } from '../core/dot.ts';
import type { DotGraph } from '../core/dot.ts';
import { IncompleteStream, InvalidTaskError } from '../core/errors.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { CliFailure, EXIT } from './failure.ts';
import { cannotWrite } from './file-failure.ts';
import { print } from './output.ts';
import { pythonJson } from './replies.ts';

/** Options of the commands of `celery-ts graph`. */
export interface GraphOptions {
  readonly output?: string;
  readonly json?: boolean;
}

export interface ResultGraphOptions extends GraphOptions {
  readonly intermediate?: boolean;
}

const DOT_FILES: ReadonlySet<string> = new Set(['', '.dot', '.gv']);

/** `celery-ts graph result`: of a task's id, or of a group's that was saved. */
export function runResultGraph(context: Context, id: string, options: ResultGraphOptions): Promise<number> {
  return withApp(context, async ({ app }) => {
    const result = (await savedGroup(app, id)) ?? app.AsyncResult(id);
    try {
      const graph = await resultGraph(result, { intermediate: options.intermediate ?? false });
      await write(context, graph, options);
    } catch (error) {
      if (!(error instanceof IncompleteStream)) throw error;
      throw new CliFailure('Error: it has not ended yet. Draw what is known with --intermediate.');
    }
    return EXIT.ok;
  });
}

/** `celery-ts graph canvas`: of a file, or of what is piped in. */
export async function runCanvasGraph(
  context: Context,
  file: string | undefined,
  options: GraphOptions,
): Promise<number> {
  const named = file === undefined || file === '-' ? undefined : resolve(context.startedIn, file);
  const json = await readSignature(named);
  try {
    await write(context, canvasGraph(JSON.parse(json)), options);
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof InvalidTaskError)) throw error;
    throw new CliFailure(`Error: ${named ?? 'The standard input'} holds no signature: ${error.message}`);
  }
  return EXIT.ok;
}

async function savedGroup(app: Celery, id: string): Promise<GroupResult | null> {
  return app.backend.can.groups ? app.restoreGroup(id) : null;
}

async function readSignature(file: string | undefined): Promise<string> {
  if (file === undefined) return readAll(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliFailure(`Error: Cannot read ${file}: ${(error as Error).message}`);
  }
}

/** A graph as the user wants it: DOT, or JSON for programs. */
export function drawn({ nodes, edges }: DotGraph, json: boolean | undefined): string {
  if (json !== true) return writeDot({ nodes, edges });
  return pythonJson({
    nodes: nodes.map(({ id, label = [id] }) => ({ id, label })),
    edges: edges.map(({ from, to, attributes }) => ({
      ...{ from, to },
      ...(attributes?.label !== undefined && { label: attributes.label }),
    })),
  });
}

async function write({ startedIn }: Context, graph: DotGraph, { output, json }: GraphOptions): Promise<void> {
  const text = drawn(graph, json);
  if (output === undefined) {
    print(text);
    return;
  }
  const path = resolve(startedIn, output);
  const extension = extname(path);
  if (json !== true && !DOT_FILES.has(extension)) {
    await draw(text, extension.slice(1), path);
    return;
  }
  try {
    await writeFile(path, `${text}\n`);
  } catch (error) {
    throw cannotWrite('graph', path, error);
  }
}

/** Has Graphviz draw a picture. */
async function draw(dot: string, format: string, path: string): Promise<void> {
  const program = spawn('dot', [`-T${format}`, '-o', path], { stdio: ['pipe', 'inherit', 'pipe'] });
  const problems = readAll(program.stderr);
  // One that ends before it has read all says why on stderr.
  program.stdin.on('error', () => undefined).end(dot);
  const code = await new Promise<number | null>((resolve, reject) => {
    program.once('error', (error: NodeJS.ErrnoException) => reject(noGraphviz(error, format)));
    program.once('close', resolve);
  });
  if (code !== 0) throw new CliFailure(`Error: dot could not draw ${path}: ${(await problems).trim()}`);
}

function noGraphviz(error: NodeJS.ErrnoException, format: string): CliFailure {
  const why = error.code === 'ENOENT' ? 'is not installed' : error.message;
  return new CliFailure(
    `Error: Graphviz draws the picture, and its program 'dot' ${why}. Install it, or leave out --output ` +
      `and draw elsewhere: celery-ts graph … | dot -T${format} -o FILE`,
    EXIT.unavailable,
  );
}
