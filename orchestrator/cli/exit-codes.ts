/** What the exit code of `kvorum` means. */
export const EXIT = {
  ok: 0,
  /** The key has no value. */
  absent: 1,
  /** The condition does not hold (`cas`). */
  differs: 1,
  /** All that could be done was done, without lines that are no rows (`import --skip-bad`). */
  skipped: 1,
  /** The command line is not one, or names a node or an operation that there is not. */
  usage: 2,
  /** The operation failed; stderr says what is known of it. */
  failed: 3,
} as const
