import { InvalidArgumentError } from './commander.ts';
import type { AutoscaleLimits } from '../worker/autoscale.ts';

/** `--autoscale max,min`; min is 0 when it is left out. One process stays in any case. */
export function autoscaleLimits(value: string): AutoscaleLimits {
  const match = /^\s*(\d+)\s*(?:,\s*(\d+)\s*)?$/.exec(value);
  const [max, min] = [Number(match?.[1]), Number(match?.[2] ?? 0)];
  if (match === null || max < 1 || max < min) {
    throw new InvalidArgumentError(`'${value}' is not max,min with max from 1 and min up to max.`);
  }
  return { max, min };
}
