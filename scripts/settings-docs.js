// Writes docs/settings.md from the settings table and the comments that editors show; --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import * as prettier from 'prettier';
import { tsImport } from 'tsx/esm/api';
import ts from 'typescript';

const GROUPS = [
  ['general', 'General'],
  ['broker', 'Broker'],
  ['task', 'Tasks'],
  ['result', 'Results'],
  ['worker', 'Worker'],
  ['control', 'Remote control'],
  ['event', 'Events'],
  ['beat', 'Beat'],
  ['daemon', 'Daemons'],
  ['security', 'Security'],
  ['redis', 'Redis'],
  ['database', 'Databases'],
  ['cassandra', 'Cassandra'],
  ['object-store', 'Object stores'],
  ['backends', 'Other result backends'],
];

const INTRODUCTION = `# Settings

Celery's names and meanings. They go into \`celeryconfig.ts\` (or \`.mts\`, \`.cts\`, \`.js\`, \`.mjs\`, \`.cjs\`, \`.json\`, \`.yaml\`, \`.yml\`),
under the key \`celery\` of package.json, into \`new Celery(name, { … })\`, or on \`app.conf\`. From weak to strong: the defaults, the config file,
the constructor and \`app.conf\`, the environment, the command line. Times are seconds. \`celery-ts -A tasks config check\` says what is wrong.

A setting marked _later_ is accepted and checked, but nothing reads it yet: the worker says so once when it is set.

This page is written by \`node scripts/settings-docs.js\`.
`;

const root = new URL('../', import.meta.url);
const { settingsByName } = await tsImport('../src/settings/table.ts', import.meta.url);
const text = await prettier.format(INTRODUCTION + GROUPS.map(section).join(''), { parser: 'markdown' });
const page = new URL('docs/settings.md', root);

if (!process.argv.includes('--check')) {
  writeFileSync(page, text);
} else if (readFileSync(page, 'utf8') !== text) {
  process.stderr.write('docs/settings.md is stale: run node scripts/settings-docs.js\n');
  process.exitCode = 1;
}

function section([file, title]) {
  const path = `src/settings/groups/${file}.ts`;
  const source = ts.createSourceFile(
    path,
    readFileSync(new URL(path, root), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const group = source.statements.find(ts.isInterfaceDeclaration);
  const rows = group.members.map((member) => row(member, source));
  return `\n## ${title}\n\n${comment(group)}\n\n| setting | takes | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

function row(member, source) {
  const name = member.name.getText(source);
  const spec = settingsByName.get(name);
  const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'defaultValue');
  if (tag?.comment !== shown(spec.default)) {
    throw new Error(
      `${name}: the comment says ${tag?.comment} is the default, the table ${shown(spec.default)}`,
    );
  }
  const notes = [spec.since === undefined ? '' : `since ${spec.since}`, spec.later === true ? '_later_' : ''];
  const note = notes.filter((each) => each !== '').join(', ');
  const cells = [
    `\`${name}\``,
    spec.kind.takes,
    shown(spec.default),
    comment(member) + (note === '' ? '' : ` (${note})`),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function comment(node) {
  const text = ts.getTextOfJSDocComment(node.jsDoc?.at(-1)?.comment);
  if (!text) throw new Error(`${node.name?.getText()} has no comment`);
  return text.replace(/\s*\n\s*/g, ' ');
}

function shown(value) {
  const json =
    value === Infinity ? 'Infinity' : JSON.stringify(value).replaceAll(',"', ', "').replaceAll('":', '": ');
  return `\`${json.replaceAll('"', "'")}\``;
}
