import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { whyUnreadable } from '../../config/file-words.js'
import { UsageFault } from '../faults.js'

/** Nodes that somebody else starts and stops. */
export interface StaticNodes {
  /** The cluster that they are started for; undefined: the orchestrator chooses, and says it. */
  readonly cluster?: string
  /** host:port by name: "shard-1/node-2". */
  readonly nodes: Readonly<Record<string, string>>
}

const schema = z.strictObject({
  cluster: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/)
    .optional(),
  nodes: z.record(z.string().regex(/^(?:meta|shard-[1-9]\d*)\/node-[1-9]\d*$/), z.string().regex(/^[^\s/]+:\d{1,5}$/)),
})

const EXAMPLE = '{"cluster": "c1", "nodes": {"meta/node-1": "10.0.0.5:7201"}}'

/** Reads such a file. Throws a UsageFault, which says everything that is wrong with it. */
export function readNodes(path: string): StaticNodes {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageFault(`the list of nodes --nodes ${path}: ${whyUnreadable(error)}`, { cause: error })
  }
  const found = schema.safeParse(parsed(text, path))
  if (!found.success) {
    const faults = found.error.issues.flatMap(wordsFor)
    throw new UsageFault(`${path} is no list of nodes: ${faults.join('; ')}. It is like ${EXAMPLE}`)
  }
  const addresses = Object.values(found.data.nodes)
  const twice = addresses.find((address, at) => addresses.indexOf(address) !== at)
  if (twice !== undefined) throw new UsageFault(`${path} names the address ${twice} twice`)
  return found.data
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageFault(`${path} is not JSON: ${(error as Error).message}`, { cause: error })
  }
}

/** Each with the path of its key. */
function wordsFor(issue: z.core.$ZodIssue): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${JSON.stringify(key)} means nothing there`)
  const [top, name] = issue.path
  if (top === undefined) return ['it is no object']
  if (top === 'cluster') return ['"cluster" must be 1 to 64 letters, digits, dots, dashes or underscores']
  if (name === undefined) return ['"nodes" must be an object with the address of each node by its name']
  const key = `"nodes", ${JSON.stringify(name)}`
  if (issue.code === 'invalid_key') return [`${key}: a name is like meta/node-1 or shard-1/node-2`]
  return [`${key}: an address is host:port`]
}
