/** What a command gets from its surroundings, so that tests can give it. */
export interface Context {
  readonly out: (text: string) => void
  readonly warn: (text: string) => void
  readonly colours: boolean
  /** Whether `out` is a terminal, on which a whole table can be drawn again. Default: it is none. */
  readonly redraws?: boolean
  /** How wide the terminal is that `warn` writes to, on which a line can be drawn again; 0: it is none. */
  readonly columns: number
  /** Aborted by Ctrl-C, where that is to end the command and not the process; absent: a signal ends both. */
  readonly interrupted?: AbortSignal
  /** The package's version. */
  readonly version: string
}

/** How every command reaches the cluster. */
export interface Connection {
  /** host:port of a gateway. */
  readonly address: string
  readonly timeoutMs: number
}

/** How a command answers. */
export interface Form {
  /** For programs. */
  readonly json: boolean
}
