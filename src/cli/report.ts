import { bugReport } from '../app/bug-report.ts';
import { withApp } from './app.ts';
import type { Context } from './context.ts';
import { EXIT } from './failure.ts';
import { print } from './output.ts';

/** `celery-ts report`: versions, platform, and the settings that differ from the defaults. */
export function runReport(context: Context): Promise<number> {
  return withApp(context, ({ app, configFile }) => {
    print(bugReport(app, configFile));
    return Promise.resolve(EXIT.ok);
  });
}
