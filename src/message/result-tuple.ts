import type { ResultTuple } from './outcome.ts';

/** Whether a value that was read is a result in Celery's tuple form, `[[id, parent], children]`; the parent is not looked at. */
export function isResultTuple(value: unknown): value is ResultTuple {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [own, children] = value as readonly unknown[];
  if (!Array.isArray(own) || typeof own[0] !== 'string') return false;
  return children === null || (Array.isArray(children) && children.every(isResultTuple));
}
