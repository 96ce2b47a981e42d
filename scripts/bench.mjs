// npm run bench -- --workers 5: the concurrent benchmark; npm run bench -- core, scale: the figures of bench/README.md;
// npm run bench -- placement, reshard: the pictures of orchestrator/control;
// npm run bench -- fleet: a thousand shards on paper;
// npm run bench:peers: ours beside others.
import './build/node-version.mjs'

/** Programs with a folder of their own under bench/. */
const PROGRAMS = ['core', 'deletion', 'fleet', 'overload', 'peers', 'placement', 'reshard', 'rolling', 'scale']

const named = PROGRAMS.find((name) => name === process.argv[2])
if (named !== undefined) process.argv.splice(2, 1)
const program = named === undefined ? 'bench/main.js' : `bench/${named}/main.js`
import('./build/run.mjs').then((loaded) => loaded.buildAndRun(program))
