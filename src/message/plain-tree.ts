import { types } from 'node:util';

import { kindRefused, type Place, placeIn, refused } from './place.ts';

/** What a value is made of once `toJSON`, wrappers and `undefined` are gone. */
export type Plain = PlainLeaf | readonly Plain[] | { readonly [key: string]: Plain };

/** Date and Uint8Array stand for themselves: each format has its own form of them. */
export type PlainLeaf = null | boolean | number | bigint | string | Date | Uint8Array;

/** What a format cannot hold, told by a text for the error message; undefined when it can. */
export type LeafCheck = (leaf: PlainLeaf) => string | undefined;

/**
 * A value as plain data, by the rules that JSON has: `toJSON` is asked, undefined is null at the top and in arrays and left out
 * of objects, and what would lose its content is refused.
 * @param format for the error message: `msgpack`
 * @param check called for every leaf and every key
 * @throws {EncodeError} which names the place of what cannot be encoded
 */
export function plainTree(value: unknown, format: string, check: LeafCheck): Plain {
  return new Maker(format, check).make(value, undefined, '') ?? null;
}

class Maker {
  readonly #format: string;
  readonly #check: LeafCheck;

  constructor(format: string, check: LeafCheck) {
    this.#format = format;
    this.#check = check;
  }

  make(value: unknown, parent: Place | undefined, key: string | number): Plain | undefined {
    switch (typeof value) {
      case 'undefined':
        return undefined;
      case 'string':
      case 'number':
      case 'boolean':
      case 'bigint':
        return this.#leaf(value, parent, key);
      case 'object':
        return value === null ? null : this.#object(value, parent, key);
      default:
        throw refused(`a ${typeof value}`, parent, key, this.#format);
    }
  }

  #object(value: object, parent: Place | undefined, key: string | number): Plain | undefined {
    if (types.isDate(value)) {
      if (Number.isNaN(value.getTime())) throw refused('an invalid Date', parent, key, this.#format);
      return this.#leaf(value, parent, key);
    }
    if (types.isUint8Array(value)) return this.#leaf(value, parent, key);
    if (types.isArrayBuffer(value)) return this.#leaf(new Uint8Array(value), parent, key);
    if (types.isBoxedPrimitive(value)) return this.make(value.valueOf(), parent, key);
    const place = placeIn(value, parent, key, this.#format);
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === 'function') {
      const replacement: unknown = Reflect.apply(toJSON, value, [String(key)]);
      if (replacement !== value) return this.make(replacement, place, key);
    }
    const kind = kindRefused(value);
    if (kind !== undefined) throw refused(kind, parent, key, this.#format);
    if (Array.isArray(value)) return value.map((item, index) => this.make(item, place, index) ?? null);
    return this.#record(value, place);
  }

  #record(record: object, place: Place): Plain {
    const members: [string, Plain][] = [];
    for (const [key, item] of Object.entries(record)) {
      const plain = this.make(item, place, key);
      if (plain === undefined) continue;
      this.#leaf(key, place, key);
      members.push([key, plain]);
    }
    // fromEntries makes own properties, whatever their names.
    return Object.fromEntries(members);
  }

  #leaf<T extends PlainLeaf>(leaf: T, parent: Place | undefined, key: string | number): T {
    const problem = this.#check(leaf);
    if (problem !== undefined) throw refused(problem, parent, key, this.#format);
    return leaf;
  }
}
