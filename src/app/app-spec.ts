import { findModule } from './module-search.ts';

/** Where the app is that `-A` names. */
export interface AppSpec {
  /** Undefined: no such module. */
  readonly file: string | undefined;
  /** The export that was named; undefined: the app is to be looked for among all. */
  readonly exported: string | undefined;
  /** Printable patterns of where the module was looked for. */
  readonly tried: readonly string[];
}

/**
 * Finds the module of an app without loading it: `tasks`, `src/tasks.ts`, `proj.celery`, each with an optional `:export`, and
 * `proj.app2` for the export `app2` of the module `proj` where there is no module of that name.
 * @param cwd absolute folder in which names start
 */
export function findApp(spec: string, cwd: string): AppSpec {
  const { name, exported } = parseSpec(spec);
  const { file, tried } = findModule(name, [cwd]);
  if (file !== undefined || exported !== undefined) return { file, exported, tried };
  const dot = name.lastIndexOf('.');
  const parent = dot < 1 ? undefined : findModule(name.slice(0, dot), [cwd]).file;
  return { file: parent, exported: parent === undefined ? undefined : name.slice(dot + 1), tried };
}

function parseSpec(spec: string): { name: string; exported: string | undefined } {
  const match = /^(.+):([\p{ID_Start}$_][\p{ID_Continue}$]*)$/u.exec(spec);
  return { name: match?.[1] ?? spec, exported: match?.[2] };
}
