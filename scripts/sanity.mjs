// npm run sanity -- --address localhost:7000: the sanity check, built first if it is not current.
import './build/node-version.mjs'

import('./build/run.mjs').then((loaded) => loaded.buildAndRun('test/sanity/main.js'))
