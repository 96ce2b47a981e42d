import { expect, test } from 'vitest'
import { startServer } from '../../orchestrator/server.js'

test.each([null, 7000, 'localhost:7000', [], () => undefined])('startServer(%j) says what it takes', async (given) => {
  const started = startServer(given as never)
  await expect(started).rejects.toThrow(
    /^startServer takes an object, like \{ port: 7000, data: '.\/data' \}, or nothing, not /,
  )
  await expect(started).rejects.toBeInstanceOf(TypeError)
})
