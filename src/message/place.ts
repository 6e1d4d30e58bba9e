import { types } from 'node:util';

import { EncodeError } from '../core/errors.ts';

/** Where in a value an encoder is, for error messages: `[0].when`. Also what tells it of cycles. */
export interface Place {
  readonly parent: Place | undefined;
  readonly key: string | number;
  readonly value: object;
}

// Python's decoder gives up near 1000 levels; what is deeper could not be read there.
const MAX_DEPTH = 900;

/** @throws {EncodeError} when the object is inside itself, or too deep. */
export function placeIn(
  value: object,
  parent: Place | undefined,
  key: string | number,
  format: string,
): Place {
  let depth = 0;
  for (let above = parent; above !== undefined; above = above.parent) {
    if (above.value === value) throw refused('an object that contains itself', parent, key, format);
    depth += 1;
  }
  if (depth > MAX_DEPTH) throw new EncodeError(`cannot encode as ${format}: more than ${MAX_DEPTH} levels`);
  return { parent, key, value };
}

/** The error for something that has no form in `format`, with its place in the whole value. */
export function refused(
  what: string,
  parent: Place | undefined,
  key: string | number,
  format: string,
): EncodeError {
  if (parent === undefined) return new EncodeError(`cannot encode ${what} as ${format}`);
  return new EncodeError(`cannot encode ${what} as ${format}, at ${pathOf(parent, key)}`);
}

/** Kinds of objects whose content an encoder would silently lose, with what to do instead. */
export function kindRefused(value: object): string | undefined {
  if (types.isPromise(value)) return 'a Promise (is an await missing?)';
  if (types.isSet(value)) return 'a Set (make it an array: [...set])';
  if (types.isMap(value)) return 'a Map (make it an object: Object.fromEntries(map))';
  if (types.isNativeError(value) || value instanceof Error) return 'an Error (throw it, or send its message)';
  if (types.isRegExp(value)) return 'a RegExp (send its source)';
  if (ArrayBuffer.isView(value)) return 'a typed array (make it an array: Array.from(array))';
  return undefined;
}

function pathOf(parent: Place, key: string | number): string {
  const keys: (string | number)[] = [key];
  for (let above = parent; above.parent !== undefined; above = above.parent) keys.unshift(above.key);
  return keys
    .map((part) => {
      if (typeof part === 'number') return `[${part}]`;
      return /^[A-Za-z_$][\w$]*$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`;
    })
    .join('');
}
