import { bugFacts, bugReport } from '../app/bug-report.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';
import { pythonJson } from './replies.ts';

/** `celery-ts report`: versions, platform, and the settings that differ from the defaults. */
export function runReport(context: Context, { json }: { readonly json?: boolean }): Promise<number> {
  return withApp(context, ({ app, configFile }) => {
    print(json === true ? pythonJson(bugFacts(app, configFile)) : bugReport(app, configFile));
    return Promise.resolve(EXIT.ok);
  });
}
