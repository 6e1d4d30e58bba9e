// Measures celery-ts beside its peers: `npm run bench -- --help`. The program itself is in scripts/bench.
import { tsImport } from 'tsx/esm/api';

const { main } = await tsImport('./bench/main.ts', import.meta.url);
process.exitCode = await main(process.argv.slice(2));
