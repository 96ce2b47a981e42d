// npm run build: installs and compiles what is not current.
import './build/node-version.mjs'

import('./build/run.mjs').then((loaded) => loaded.buildOnly())
