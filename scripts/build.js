// Compiles src: to build/ file by file, with the declarations in dist/, and from there to dist/ in few files, because a worker
// that loads hundreds of modules is ready late. Only dist/ is in the package; processes of the tests run parts of build/.
import { execFileSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { build } from 'esbuild';

const require = createRequire(import.meta.url);
for (const folder of ['build', 'dist']) rmSync(folder, { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  stdio: 'inherit',
});
await build({
  entryPoints: ['index', 'testing/index', 'cli/main', 'pool/child-main'].map((name) => `build/${name}.js`),
  outbase: 'build',
  outdir: 'dist',
  // Modules that are imported lazily stay in files of their own, two levels deep like the folders of src.
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  packages: 'external',
  logLevel: 'warning',
});
cpSync('src/commonjs', 'dist', { recursive: true });
