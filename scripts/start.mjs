// npm start: installs and builds what is not current, then runs the orchestrator in this same process, so that there
// is nobody to forward signals to. package.json starts it by `exec` for the same reason: the shell that npm puts between
// would take npm's SIGTERM, end, and leave us running.
import './build/node-version.mjs'

// The proxy is one of the programs that are built for tests. Asked for in a config file, it must have been built before.
const asked = process.argv.slice(2).concat(`--fault-proxy=${process.env.KVORUM_FAULT_PROXY ?? false}`)
const forTests = asked.some((word) => /^--fault-proxy(?:=(?:true|1))?$/.test(word))

import('./build/run.mjs').then((loaded) => loaded.buildAndRun('orchestrator/main.js', { forTests }))
