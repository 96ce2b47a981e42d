// npm run chaos -- --minutes 5: breaks a cluster of its own and checks every answer. `kvorum chaos` is the same.
import { main } from './command.js'

process.exitCode = await main(process.argv)
