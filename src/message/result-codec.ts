import { DecodeError } from '../core/errors.ts';
import { EXCEPTION_STATES } from '../core/states.ts';
import { isoUtc, parseIso } from '../core/time.ts';
import { type DocumentMembers, documentMembers, type DocumentWriter, documentWriter } from './document.ts';
import type { EncodedValue, ResultTuple } from './outcome.ts';
import { isResultTuple } from './result-tuple.ts';
import { serializerByName } from './registry.ts';
import { errorFromJson, errorToJson } from './remote-error.ts';
import type { ExtendedMeta, ResultMeta } from './result-meta.ts';

/** `key-value` is the document that is stored, `rpc` the shorter one that is sent to the caller. */
export type MetaForm = 'key-value' | 'rpc';

/**
 * The result document as Celery's clients read it. A value that is encoded already is put in as it is.
 * @param serializer name of the result serializer
 * @throws {EncodeError} when a part has no form in the serializer
 */
export function encodeMeta(meta: ResultMeta, form: MetaForm, serializer: string): Buffer {
  const { wrapping } = serializerByName(serializer);
  if (wrapping !== undefined) return wrapping.wrap(encodeMeta(meta, form, wrapping.inner.name));
  const writer = documentWriter(serializer);
  if (form === 'rpc') writer.member('task_id', meta.taskId);
  writer.member('status', meta.status);
  if (meta.error !== null) writer.member('result', errorToJson(meta.error));
  else writer.encoded('result', meta.result);
  writer.member('traceback', meta.traceback);
  writer.member('children', meta.children);
  if (form === 'rpc') return writer.end();
  writer.member('date_done', meta.dateDone === null ? null : isoUtc(meta.dateDone));
  if (meta.groupId !== null) writer.member('group_id', meta.groupId);
  if (meta.parentId !== null) writer.member('parent_id', meta.parentId);
  if (meta.extended !== null) extendedMembers(writer, meta.extended);
  writer.member('task_id', meta.taskId);
  return writer.end();
}

function extendedMembers(writer: DocumentWriter, extended: ExtendedMeta): void {
  writer.member('name', extended.name);
  writer.encoded('args', extended.args);
  writer.encoded('kwargs', extended.kwargs);
  writer.member('worker', extended.worker);
  writer.member('retries', extended.retries);
  writer.member('queue', extended.queue);
  if (extended.stampedHeaders === undefined) return;
  writer.member('stamped_headers', extended.stampedHeaders);
  for (const [name, value] of Object.entries(extended.stamps ?? {})) writer.member(name, value);
}

/**
 * Reads a result document of either form; the value itself stays encoded.
 * @throws {DecodeError} when the bytes are not such a document
 */
export function decodeMeta(bytes: Buffer, serializer: string): ResultMeta {
  const { wrapping } = serializerByName(serializer);
  if (wrapping !== undefined) {
    const inside = wrapping.unwrap(bytes);
    return decodeMeta(inside.bytes, inside.serializer.name);
  }
  const reader = new MetaReader(documentMembers(bytes, serializer));
  const status = reader.text('status');
  const taskId = reader.text('task_id');
  if (status === null) throw new DecodeError("a result document without 'status'");
  const traceback = reader.text('traceback');
  const error = EXCEPTION_STATES.has(status) ? errorFromJson(reader.value('result'), traceback) : undefined;
  const done = reader.text('date_done');
  return {
    taskId: taskId ?? '',
    status,
    result: error === undefined ? reader.encoded('result') : null,
    error: error ?? null,
    traceback,
    children: reader.children(),
    dateDone: done === null ? null : dateOf(done),
    groupId: reader.text('group_id'),
    parentId: reader.text('parent_id'),
    extended: reader.extended(),
  };
}

function dateOf(text: string): Date {
  try {
    return new Date(parseIso(text));
  } catch (error) {
    const shown = JSON.stringify(text.slice(0, 64));
    throw new DecodeError(`a result document whose 'date_done' is ${shown}`, { cause: error });
  }
}

class MetaReader {
  readonly #members: DocumentMembers;

  constructor(members: DocumentMembers) {
    this.#members = members;
  }

  value(name: string): unknown {
    return this.#members.value(name);
  }

  text(name: string): string | null {
    return this.#members.text(name);
  }

  encoded(name: string): EncodedValue | null {
    return this.#members.encoded(name);
  }

  children(): readonly ResultTuple[] | null {
    const value = this.value('children');
    return Array.isArray(value) && value.every(isResultTuple) ? value : null;
  }

  extended(): ExtendedMeta | null {
    const name = this.text('name');
    if (name === null) return null;
    const retries = this.value('retries');
    const stamped = this.value('stamped_headers');
    return {
      name,
      args: this.encoded('args'),
      kwargs: this.encoded('kwargs'),
      worker: this.text('worker') ?? '',
      retries: typeof retries === 'number' ? retries : 0,
      queue: this.text('queue'),
      ...(Array.isArray(stamped) ? this.#stamps(stamped) : undefined),
    };
  }

  #stamps(names: readonly unknown[]): Pick<ExtendedMeta, 'stampedHeaders' | 'stamps'> {
    const stampedHeaders = names.filter((name): name is string => typeof name === 'string');
    return {
      stampedHeaders,
      stamps: Object.fromEntries(stampedHeaders.map((name) => [name, this.value(name)])),
    };
  }
}
