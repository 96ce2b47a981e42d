import { PreconditionFailedError } from '../errors/index.js'

/** Why a cluster could not be started, or went on not working: one line for a person, who can do something about it. */
export class StartFault extends Error {
  override name = 'StartFault'
}

/** What a person asks for cannot be, or not now: in words that say why. */
export function refused(message: string): PreconditionFailedError {
  return new PreconditionFailedError(message, { outcome: 'not-applied' })
}

/** What was asked for cannot be, wherever it is asked: the command line is wrong, or a file that it names. */
export class UsageFault extends StartFault {
  override name = 'UsageFault'
}

/** Another orchestrator has the data directory's lock. */
export class InUseFault extends StartFault {
  constructor(
    message: string,
    /** Its pid, as far as is known. */
    readonly owner: number | undefined,
  ) {
    super(message)
  }
}

/** A machine does not answer: what is there may be as it was. */
export class OutOfReach extends StartFault {
  override name = 'OutOfReach'
}

/** What a failed system call on a path means for a person. */
export function pathFault(what: string, path: string, error: unknown): StartFault {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const words = WORDS[code] ?? `${error instanceof Error ? error.message : String(error)}`
  return new StartFault(`${what} ${path} ${words}`, { cause: error })
}

const WORDS: Readonly<Record<string, string>> = {
  ENOTDIR: 'is not a directory: a file is in the way',
  EEXIST: 'is not a directory: a file is in the way',
  ENOENT: 'cannot be made: the directory above it is read-only or missing',
  EACCES: 'cannot be written: permission denied',
  EPERM: 'cannot be written: not permitted',
  EROFS: 'cannot be written: the file system is read-only',
  ENOSPC: 'cannot be written: the disk is full',
  EDQUOT: 'cannot be written: the quota is used up',
  ENAMETOOLONG: 'has too long a name',
}

/** Another orchestrator holds the control lease: what this one had begun is its business now. */
export class NotHolder extends Error {
  override name = 'NotHolder'
  constructor(
    readonly term: number,
    message = `another orchestrator holds the control lease, in term ${term}`,
  ) {
    super(message)
  }
}

/** Others have run the nodes since the registry was written here: it must be read anew before anything else is done. */
export class StaleRegistry extends NotHolder {
  override name = 'StaleRegistry'
  constructor(term: number) {
    super(term, 'another orchestrator has run the nodes meanwhile: what the registry knows of them is old')
  }
}
