// npm run bench -- --workers 5: the concurrent benchmark; npm run bench -- core: the figures of bench/README.md.
import './build/node-version.mjs'

const core = process.argv[2] === 'core'
if (core) process.argv.splice(2, 1)
import('./build/run.mjs').then((loaded) => loaded.buildAndRun(core ? 'bench/core/main.js' : 'bench/main.js'))
