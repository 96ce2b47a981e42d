import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Context } from './context.js'
import { EXIT } from './exit-codes.js'

/** Built from test/chaos: to break a cluster takes the whole project, which a package from npm does not have. */
const PROGRAM = new URL('../../test/chaos/command.js', import.meta.url)

interface Program {
  main(argv: readonly string[]): Promise<number>
}

/** Runs the chaos program with options of its own; gives its exit code. */
export async function chaos(options: readonly string[], { warn }: Context, program: URL = PROGRAM): Promise<number> {
  if (!existsSync(fileURLToPath(program))) {
    warn('kvorum: chaos is part of the project, not of the package: run it in a checkout\n')
    return EXIT.failed
  }
  const { main } = (await import(program.href)) as Program
  return main([process.execPath, 'kvorum chaos', ...options])
}
