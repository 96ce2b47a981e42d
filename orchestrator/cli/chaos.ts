import { fromCheckout } from '../config/checkout.js'
import type { Context } from './context.js'
import { EXIT } from './exit-codes.js'

/** To break a cluster takes the whole project. */
const PROGRAM = 'test/chaos/command.js'

interface Program {
  main(argv: readonly string[]): Promise<number>
}

/** Runs the chaos program with options of its own; gives its exit code. */
export async function chaos(
  options: readonly string[],
  { warn }: Context,
  load: (path: string) => Promise<Program | undefined> = fromCheckout,
): Promise<number> {
  const program = await load(PROGRAM)
  if (program === undefined) {
    warn('kvorum: chaos is part of the project, not of the package: run it in a checkout\n')
    return EXIT.failed
  }
  return program.main([process.execPath, 'kvorum chaos', ...options])
}
