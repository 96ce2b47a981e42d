import { isIPv4, isIPv6 } from 'node:net'
import { checkAddress } from '../core/address.js'
import { nearest } from '../core/words.js'
import { OPTIONS, type Options, schema } from './schema.js'
import { CONFIG_VARIABLE, readConfigFile, readEnvironment, readFlags, type Setting, type Source } from './sources.js'

/** Checked and frozen; what it says holds for the whole run. */
export type Config = Readonly<Options>

/** What was asked for on the command line. */
export type Request = { readonly ask: 'run'; readonly config: Config } | { readonly ask: 'help' | 'version' }

/** Every fault of the configuration, found in one go. */
export class ConfigFault extends Error {
  override name = 'ConfigFault'
  constructor(readonly faults: readonly string[]) {
    super(faults.join('\n'))
  }
}

/** Defaults < config file < environment < flags; checked across sources and options. Throws a ConfigFault. */
export function loadConfig(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Request {
  const flags = readFlags(args)
  if (flags.instead !== undefined) return { ask: flags.instead }
  const variables = readEnvironment(environment)
  const path = flags.configFile ?? environment[CONFIG_VARIABLE]
  const file: Source = path === undefined ? { settings: new Map(), faults: [] } : readConfigFile(path)

  const settings = new Map([...file.settings, ...variables.settings, ...flags.settings])
  return { ask: 'run', config: configOf(settings, [...flags.faults, ...variables.faults, ...file.faults]) }
}

/** From a program, which has the names of the config file. Throws a ConfigFault. */
export function configFrom(options: Partial<Options>): Config {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const faults = given
    .filter(([name]) => OPTIONS.every((one) => one.name !== name))
    .map(([name]) => `${JSON.stringify(name)} is not an option${meant(name)}`)
  const known = given.filter(([name]) => OPTIONS.some((one) => one.name === name))
  return configOf(new Map(known.map(([name, value]) => [name, { value, where: name }])), faults)
}

function meant(name: string): string {
  const one = nearest(
    name,
    OPTIONS.map((option) => option.name),
  )
  return one === undefined ? '' : `: ${one} is meant, perhaps`
}

function configOf(settings: ReadonlyMap<string, Setting>, faults: string[]): Config {
  const checked = schema.safeParse(Object.fromEntries([...settings].map(([name, { value }]) => [name, value])))
  if (!checked.success) faults.push(...checked.error.issues.map((issue) => wordsFor(issue.path[0], settings)))
  else faults.push(...acrossOptions(checked.data))
  if (!checked.success || faults.length > 0) throw new ConfigFault([...new Set(faults)])
  return Object.freeze(checked.data)
}

function wordsFor(name: PropertyKey | undefined, settings: ReadonlyMap<string, Setting>): string {
  const option = OPTIONS.find((one) => one.name === name)
  const setting = settings.get(String(name))
  return `${setting?.where} is ${JSON.stringify(setting?.value)}, but must be ${option?.range}`
}

function acrossOptions(options: Options): string[] {
  const faults: string[] = []
  if (!isLoopback(options.host) && !options.insecure) {
    faults.push(
      `--host ${options.host} can be reached from other machines, and nothing is encrypted or authenticated yet: ` +
        'add --insecure if that is what you want',
    )
  }
  faults.push(...httpFaults(options))
  if (options.join !== undefined) faults.push(...faultsOfJoin(options.join, options))
  faults.push(...driverFaults(options))
  const largest = options.keyBytesMax + options.valueBytesMax
  if (largest > options.inFlightBytesMax) {
    faults.push(
      `--in-flight-bytes-max ${options.inFlightBytesMax} is less than one operation may hold (${largest} bytes by ` +
        '--key-bytes-max and --value-bytes-max)',
    )
  }
  return faults
}

const PORT_MAX = 65_535

function httpFaults({ http, httpPort, port }: Options): string[] {
  if (!http) return httpPort === undefined ? [] : ['--http-port is given, but --http is false']
  if (httpPort === undefined)
    return port < PORT_MAX ? [] : [`--port ${PORT_MAX} has no port after it: give --http-port`]
  return httpPort !== 0 && httpPort === port ? [`--port and --http-port are both ${port}: each needs its own`] : []
}

/** The port for HTTP/JSON, 0 for a free one; undefined when it is not served. */
export function httpPortOf({ http, httpPort, port }: Config): number | undefined {
  return http ? (httpPort ?? (port === 0 ? 0 : port + 1)) : undefined
}

function faultsOfJoin(join: string, { shards, replicas, faultProxy }: Options): string[] {
  const faults = join.split(',').flatMap((address) => {
    try {
      checkAddress(address)
      return []
    } catch {
      return [`--join is ${JSON.stringify(join)}, but must be host:port, or several of them with commas between them`]
    }
  })
  if (shards !== undefined || replicas !== undefined) {
    faults.push('--shards and --replicas are for a cluster of its own: with --join they are those of the cluster')
  }
  if (faultProxy) faults.push('--fault-proxy is for whoever starts the nodes: with --join it can do nothing')
  return faults
}

function driverFaults({ driver, agents, nodes, faultProxy }: Options): string[] {
  const faults: string[] = []
  if (driver === 'agent' && agents === undefined) faults.push('--driver agent needs --agents host:port,...')
  if (driver !== 'agent' && agents !== undefined) faults.push('--agents needs --driver agent')
  if (driver === 'static' && nodes === undefined) faults.push('--driver static needs --nodes <file>')
  if (driver !== 'static' && nodes !== undefined) faults.push('--nodes needs --driver static')
  if (driver !== 'local' && faultProxy) faults.push('--fault-proxy is for nodes on this machine: --driver local')
  for (const address of listOf(agents)) {
    try {
      checkAddress(address)
    } catch (error) {
      faults.push(`--agents: ${(error as TypeError).message}`)
    }
  }
  if (new Set(listOf(agents)).size < listOf(agents).length) faults.push(`--agents ${agents}: one is there twice`)
  return faults
}

/** The words between commas. */
export function listOf(text: string | undefined): string[] {
  return text?.split(',').map((word) => word.trim()) ?? []
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || (isIPv4(host) && host.startsWith('127.')) || (isIPv6(host) && host === '::1')
}
