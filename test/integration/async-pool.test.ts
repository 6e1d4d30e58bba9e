import { poolSuite } from '../contract/pool-suite.ts';

poolSuite('async', { processes: 8 });
