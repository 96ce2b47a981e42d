import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { helpText } from './help.js'
import { type Config, ConfigFault, httpPortOf, loadConfig } from './load.js'
import { OPTIONS } from './schema.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'kvorum-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function file(content: string): string {
  const path = join(folder, 'kvorum.json')
  writeFileSync(path, content)
  return path
}

function config(args: string[], environment: Record<string, string> = {}): Config {
  const request = loadConfig(args, environment)
  if (request.ask !== 'run') throw new Error(`asked for ${request.ask}`)
  return request.config
}

function faults(args: string[], environment: Record<string, string> = {}): readonly string[] {
  try {
    loadConfig(args, environment)
  } catch (error) {
    if (error instanceof ConfigFault) return error.faults
    throw error
  }
  throw new Error('no fault')
}

describe('sources', () => {
  test('without any, the defaults of the README hold', () => {
    expect(config([])).toMatchObject({ host: '127.0.0.1', port: 7000, data: './data', logRequests: false })
  })

  test('a flag wins over a variable, a variable over the file, the file over the default', () => {
    const path = file('{"shards": 4, "replicas": 4, "port": 4}')
    const found = config(['--config', path, '--shards', '6'], { KVORUM_SHARDS: '5', KVORUM_REPLICAS: '5' })
    expect(found).toMatchObject({ shards: 6, replicas: 5, port: 4, data: './data' })
  })

  test('the file can be named by a variable', () => {
    expect(config([], { KVORUM_CONFIG: file('{"shards": 7}') }).shards).toBe(7)
  })

  test.each([
    [['--shards=5'], {}, { shards: 5 }],
    [['--log-requests'], {}, { logRequests: true }],
    [['--log-requests=false'], { KVORUM_LOG_REQUESTS: 'true' }, { logRequests: false }],
    [[], { KVORUM_LOG_REQUESTS: '1' }, { logRequests: true }],
    [['--data', '-odd'], {}, { data: '-odd' }],
    [[], { HOME: '/x', KVORUM_ADDRESS: 'localhost:1' }, { port: 7000 }],
  ])('%j %j', (args, environment, expected) => {
    expect(config(args, environment as Record<string, string>)).toMatchObject(expected)
  })

  test.each([
    [[], 7001],
    [['--port', '7010'], 7011],
    [['--port', '0'], 0],
    [['--port', '0', '--http-port', '8000'], 8000],
    [['--http-port', '0'], 0],
    [['--http=false'], undefined],
  ])('%j: HTTP on port %s', (args, port) => {
    expect(httpPortOf(config(args))).toBe(port)
  })

  test('the result is frozen', () => {
    expect(Object.isFrozen(config([]))).toBe(true)
  })

  test.each([
    [['--help'], 'help'],
    [['-h', '--shards', 'nonsense'], 'help'],
    [['--version'], 'version'],
  ])('%j asks for %s', (args, ask) => {
    expect(loadConfig(args, {}).ask).toBe(ask)
  })
})

describe('faults', () => {
  test.each([
    [['--driver', 'agent'], '--driver agent needs --agents host:port,...'],
    [['--agents', 'a:1'], '--agents needs --driver agent'],
    [['--driver', 'agent', '--agents', 'a:1,b'], '--agents: the address must be host:port'],
    [['--driver', 'agent', '--agents', 'a:1,a:1'], '--agents a:1,a:1: one is there twice'],
    [['--driver', 'agent', '--agents', 'a:1', '--fault-proxy'], '--fault-proxy is for nodes on this machine'],
    [['--driver', 'static'], '--driver static needs --nodes <file>'],
    [['--nodes', 'nodes.json'], '--nodes needs --driver static'],
    [['--http=false', '--http-port', '0'], '--http-port is given, but --http is false'],
    [['--port', '65535'], '--port 65535 has no port after it: give --http-port'],
    [['--http-port', '7000'], '--port and --http-port are both 7000'],
  ])('%j', (args, says) => {
    expect(faults(args)).toEqual([expect.stringContaining(says)])
  })

  test('all are reported at once, whatever their source', () => {
    const path = file('{"replicas": 9, "shard": 1, "port": "7000"}')
    const found = faults(['--config', path, '--shards', '0', '--colour', 'red', '--data'], {
      KVORUM_LOG_LEVEL: 'loud',
      KVORUM_SHARDZ: '3',
    })
    expect(found).toEqual([
      '--colour is not an option',
      '"red" is not an option',
      '--data needs a value',
      'the environment variable KVORUM_SHARDZ is no option',
      `config file ${path}: "shard" is not an option`,
      '--shards is 0, but must be a whole number from 1 to 256',
      `${path}: replicas is 9, but must be a whole number from 1 to 7`,
      `${path}: port is "7000", but must be a whole number from 0 to 65535`,
      'KVORUM_LOG_LEVEL is "loud", but must be one of debug, info, warn, error',
    ])
  })

  test.each([
    [['--shards', '1.5'], '--shards is "1.5", but must be a whole number from 1 to 256'],
    [['--shards', '-1'], '--shards is -1, but must be a whole number from 1 to 256'],
    [['--shards', '3', '--shards', '4'], '--shards is given twice'],
    [['--data', '--shards', '3'], '--data needs a value'],
    [['--data='], '--data is "", but must be a text that is not empty'],
    [['--log-requests=maybe'], '--log-requests is "maybe", but must be true or false'],
    [['start'], '"start" is not an option'],
    [['--config', '/nowhere/k.json'], 'config file /nowhere/k.json cannot be used: there is no such file'],
    [['--host', '0.0.0.0'], 'add --insecure'],
    [['--host', '127.evil.example'], 'add --insecure'],
    [['--in-flight-bytes-max', '1048576', '--value-bytes-max', '1048576'], 'is less than one operation may hold'],
    [['--join', 'localhost'], '--join is "localhost", but must be host:port'],
    [['--join', 'a:1,,b:2'], 'or several of them with commas between them'],
    [['--join', 'a:1', '--shards', '3'], 'with --join they are those of the cluster'],
    [['--join', 'a:1', '--fault-proxy'], 'with --join it can do nothing'],
  ])('%j', (args, expected) => {
    expect(faults(args)[0]).toContain(expected)
  })

  test.each([
    ['{"a"', 'is not JSON'],
    ['[1]', 'is not a JSON object'],
    ['null', 'is not a JSON object'],
  ])('a file with %s', (content, expected) => {
    expect(faults(['--config', file(content)])[0]).toContain(expected)
  })

  test.each([
    ['0.0.0.0', true],
    ['127.1.2.3', false],
    ['::1', false],
    ['localhost', false],
  ])('host %s, insecure %s, is accepted', (host, insecure) => {
    expect(config(['--host', host, ...(insecure ? ['--insecure'] : [])]).host).toBe(host)
  })
})

test('--help tells what, range, default, variable and why of every option', () => {
  const help = helpText()
  for (const option of OPTIONS) {
    expect(option.what, option.name).toBeTruthy()
    expect(option.why, option.name).toBeTruthy()
    for (const part of [
      option.flag,
      option.what,
      `default ${option.byDefault}.`,
      option.why,
      option.variable,
      `[${option.name}]`,
    ]) {
      expect(help).toContain(part)
    }
  }
  expect(help).toContain('2 wrong usage.')
  expect(help).toContain('A whole number from 1 to 256, default what the data directory has, or 3.')
})
