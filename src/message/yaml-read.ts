import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';

import { DecodeError } from '../core/errors.ts';
import { SCALARS } from './yaml-scalars.ts';

/**
 * The value of a YAML 1.1 document by the rules of PyYAML's safe_load: the same plain words are numbers, dates and booleans, and
 * a tag that is not one of YAML's own is refused. A set becomes an array.
 * @throws {DecodeError} when the text is not such a document, or its aliases stand for far more than it holds
 */
export function readYaml(text: string): unknown {
  try {
    return valueOf(text);
  } catch (error) {
    if (error instanceof DecodeError) throw error;
    const why = error instanceof RangeError ? 'it is nested too deeply' : firstLine(error);
    throw new DecodeError(`cannot decode YAML: ${why}`, { cause: error });
  }
}

// What an alias stands for counts each time, and again for each alias around it. PyYAML writes one wherever a list or dict
// occurs again, so that honest messages may hold many.
const MAX_ALIASES = 10_000;

function valueOf(text: string): unknown {
  const yaml = load();
  const document = yaml.parseDocument(text, {
    version: '1.1',
    schema: 'failsafe',
    customTags: tagsOf(yaml),
    merge: true,
    // The check compares every key with every other.
    uniqueKeys: false,
    logLevel: 'error',
    prettyErrors: false,
  });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) throw problem;
  return document.toJS({ maxAliasCount: MAX_ALIASES });
}

let tags: Yaml.Tags | undefined;

function tagsOf(yaml: typeof Yaml): Yaml.Tags {
  tags ??= [...SCALARS, setTag(yaml)];
  return tags;
}

function setTag({ YAMLMap, YAMLSeq }: typeof Yaml): Yaml.CollectionTag {
  return {
    collection: 'map',
    tag: 'tag:yaml.org,2002:set',
    resolve: (node) => {
      const sequence = new YAMLSeq();
      if (node instanceof YAMLMap) sequence.items = node.items.map(({ key }) => key);
      return sequence;
    },
  };
}

let loaded: typeof Yaml | undefined;

/** Loaded with the first YAML that is read: most programs never need it. */
function load(): typeof Yaml {
  loaded ??= createRequire(import.meta.url)('yaml') as typeof Yaml;
  return loaded;
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]?.slice(0, 200) ?? '';
}
