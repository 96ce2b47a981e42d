// A program: ends what is left of a cluster when whoever started it is gone, however it went. It is told where the data is on
// its standard input, which the kernel ends with its owner, kill -9 included. What processes have written stays.
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'
import { processesOf, signal } from './process.js'

const AGAIN_MS = 20

const folder = (await text(process.stdin)).trim()
// Again, because an orchestrator may have started a node just before it ended.
for (let left = processesOf(folder); folder !== '' && left.length > 0; left = processesOf(folder)) {
  const [others, orchestrators] = [left.filter(isNode), left.filter((one) => !isNode(one))]
  for (const { pid } of [...orchestrators, ...others]) signal(pid, 'SIGKILL')
  await pause(AGAIN_MS)
}

function isNode({ command }: { readonly command: string }): boolean {
  return command.includes('kvnode')
}
