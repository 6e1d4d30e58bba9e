import type { Figure } from '../model.ts';
import { backlog } from './backlog.ts';
import { cpu } from './cpu.ts';
import { drainFigure } from './drain.ts';
import { eta } from './eta.ts';
import { help } from './help.ts';
import { latency } from './latency.ts';
import { publish } from './publish.ts';
import { idle, memory } from './resting.ts';
import { sleeping } from './sleeping.ts';
import { start } from './start.ts';
import { acks, logging, payload } from './variants.ts';

/** In the order in which they run. */
export const FIGURES: readonly Figure[] = [
  ...[drainFigure, acks, logging, publish, latency, cpu, sleeping],
  ...[idle, memory, start, help, payload, backlog, eta],
];
