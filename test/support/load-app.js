// Loads apps in a process of its own, where Node and not vitest imports the user's modules: cases in, what became of them out.
import { text } from 'node:stream/consumers';
import { applyConfig, importTasks, loadApp } from '../../build/app/loader.js';

const results = [];
for (const { spec, cwd, config, imports } of JSON.parse(await text(process.stdin))) {
  try {
    const { app, file } = await loadApp(spec, { cwd });
    const { configFile } = config ? await applyConfig(app, { cwd, file, ...config }) : {};
    if (imports) await importTasks(app, { cwd, file });
    const { broker_url, task_default_queue, include } = app.settings;
    results.push({
      main: app.main,
      file,
      configFile,
      tasks: [...app.tasks.keys()].filter((name) => !name.startsWith('celery.')),
      broker_url,
      task_default_queue,
      include,
    });
  } catch (error) {
    results.push({ error: error.name, message: error.message });
  }
}
process.stdout.write(JSON.stringify(results));
process.exit(0);
