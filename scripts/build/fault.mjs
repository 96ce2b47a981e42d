/** A reason to stop that the user can do something about: it is told in one line, without a stack. */
export class Fault extends Error {}

/** Ends the process in the way every script does. */
export function die(error) {
  const text = error instanceof Fault ? error.message : error.stack
  process.stderr.write(`kvorum: ${text}\n`, () => process.exit(1))
}
