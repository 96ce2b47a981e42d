import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { whyUnreadable } from './file-words.js'
import { OPTIONS, type OptionInfo } from './schema.js'

// Where settings come from. Each source gives what it found, still unchecked, with words for where it stood, and the
// faults that are the source's own: an unknown name, a missing value, a file that cannot be read.

export interface Setting {
  readonly value: unknown
  /** Where it was given, as a person would say it. */
  readonly where: string
}

export interface Source {
  /** By option name. */
  readonly settings: ReadonlyMap<string, Setting>
  readonly faults: readonly string[]
}

/** Variables with our prefix that are not the orchestrator's: the command line reads this one. */
const FOREIGN_VARIABLES: ReadonlySet<string> = new Set(['KVORUM_ADDRESS'])

/** Names the config file; it cannot stand in the file itself. */
export const CONFIG_FLAG = '--config'
export const CONFIG_VARIABLE = 'KVORUM_CONFIG'

export interface Flags extends Source {
  readonly configFile: string | undefined
  /** Asked for instead of a run. */
  readonly instead: 'help' | 'version' | undefined
}

export function readFlags(args: readonly string[]): Flags {
  const byName = new Map(OPTIONS.map((option) => [option.flag.slice(2), option]))
  const settings = new Map<string, Setting>()
  const faults: string[] = []
  let configFile: string | undefined
  let instead: Flags['instead']
  for (const token of tokensOf(args)) {
    if (token.kind === 'positional') faults.push(`${JSON.stringify(token.value)} is not an option`)
    if (token.kind !== 'option') continue
    const option = byName.get(token.name)
    const isBoolean = option?.type === 'boolean'
    const missing = !isBoolean && (token.value === undefined || token.value.startsWith('--'))
    if (token.name === 'help' || token.name === 'version') instead ??= token.name
    else if (option === undefined && token.name !== 'config') faults.push(`${token.rawName} is not an option`)
    else if (missing) faults.push(`${token.rawName} needs a value`)
    else if (option === undefined) configFile = token.value
    else if (settings.has(option.name)) faults.push(`${option.flag} is given twice`)
    else settings.set(option.name, { value: parsed(option, token.value ?? 'true'), where: option.flag })
  }
  return { settings, faults, configFile, instead }
}

function tokensOf(args: readonly string[]) {
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {
    config: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
  }
  for (const { flag, type } of OPTIONS) options[flag.slice(2)] = { type: type === 'boolean' ? 'boolean' : 'string' }
  return parseArgs({ args: [...args], options, strict: false, tokens: true }).tokens
}

export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Source {
  const byName = new Map(OPTIONS.map((option) => [option.variable, option]))
  const settings = new Map<string, Setting>()
  const faults: string[] = []
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('KVORUM_') || value === undefined) continue
    if (name === CONFIG_VARIABLE || FOREIGN_VARIABLES.has(name)) continue
    const option = byName.get(name)
    if (option === undefined) faults.push(`the environment variable ${name} is no option`)
    else settings.set(option.name, { value: parsed(option, value), where: name })
  }
  return { settings, faults }
}

export function readConfigFile(path: string): Source {
  const fault = (text: string): Source => ({ settings: new Map(), faults: [`config file ${path} ${text}`] })
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    return fault(`cannot be used: ${whyUnreadable(error)}`)
  }
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch (error) {
    return fault(`is not JSON: ${(error as Error).message}`)
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) return fault('is not a JSON object')
  const known = new Set<string>(OPTIONS.map((option) => option.name))
  const entries = Object.entries(content)
  return {
    settings: new Map(
      entries.filter(([name]) => known.has(name)).map(([name, value]) => [name, { value, where: `${path}: ${name}` }]),
    ),
    faults: entries
      .filter(([name]) => !known.has(name))
      .map(([name]) => `config file ${path}: ${JSON.stringify(name)} is not an option`),
  }
}

/** Flags and variables are text. What does not look like the option's type stays text, and fails its check. */
function parsed(option: OptionInfo, text: string): unknown {
  if (option.type === 'integer' && /^-?\d+$/.test(text)) return Number(text)
  if (option.type === 'boolean' && /^(?:true|1)$/.test(text)) return true
  if (option.type === 'boolean' && /^(?:false|0)$/.test(text)) return false
  return text
}
