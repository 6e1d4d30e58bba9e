import type { Command } from 'commander';
import type { GraphOptions, ResultGraphOptions } from './graph.ts';
import { text, valued } from './options.ts';
import type { Setup } from './wiring.ts';
import { group, runs } from './wiring.ts';

const JSON_OPTION = ['-j, --json', 'print nodes and edges as JSON instead'] as const;

/** `celery-ts graph` and its commands. */
export function addGraph(program: Command, setup: Setup): void {
  const graph = group(program, 'graph', 'Draw workflows and workers in the DOT language of Graphviz.');
  const bootsteps = graph
    .command('bootsteps')
    .description('Draw what a worker and its consumer start, in order.')
    .summary('draw what a worker starts')
    .usage('[OPTIONS] [worker] [consumer]')
    .argument('[words...]')
    .option(...JSON_OPTION);
  runs(bootsteps, setup, async (context, words, options: GraphOptions) => {
    const { runBootstepsGraph } = await import('./graph-cluster.ts');
    return runBootstepsGraph(context, words, options);
  });
  const workers = graph
    .command('workers')
    .description(
      'Draw the workers that answer, their processes, the broker and the result backend; or what words say: ' +
        'nodes:w1,w2 threads:2,2 broker:… backend:…. wmax:4 tmax:3 is how many are drawn, 0 is all.',
    )
    .summary('draw the workers, their broker and their result backend')
    .usage('[OPTIONS] [KEY:VALUE]...')
    .argument('[words...]')
    .option(...JSON_OPTION);
  runs(workers, setup, async (context, words, options: GraphOptions) => {
    const { runWorkersGraph } = await import('./graph-cluster.ts');
    return runWorkersGraph(context, words, options);
  });
  const result = withOutput(
    graph
      .command('result')
      .description('Draw the result of a task or a saved group, and all the tasks that came of it.')
      .summary('draw a result and the tasks that came of it')
      .usage('[OPTIONS] TASK_ID')
      .argument('<task_id>')
      .option('-i, --intermediate', 'draw also what has not ended, as far as it is known'),
  );
  runs(result, setup, async (context, [id = ''], options: ResultGraphOptions) => {
    const { runResultGraph } = await import('./graph.ts');
    return runResultGraph(context, id, options);
  });
  const canvas = withOutput(
    graph
      .command('canvas')
      .description('Draw a canvas from its JSON form, which JSON.stringify(signature) and Python write.')
      .summary('draw a canvas')
      .usage('[OPTIONS] [FILE]')
      .argument('[file]', 'default: standard input'),
  );
  runs(canvas, setup, async (context, [file], options: GraphOptions) => {
    const { runCanvasGraph } = await import('./graph.ts');
    return runCanvasGraph(context, file, options);
  });
}

function withOutput(command: Command): Command {
  return command
    .option(...JSON_OPTION)
    .addOption(
      valued(
        '-o, --output <file>',
        'write to this file: DOT (.dot, .gv), or a picture (.svg, .png, .pdf, …) if Graphviz is installed',
        text,
      ),
    );
}
