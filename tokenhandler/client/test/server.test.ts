import { createAuth } from 'cognito-token-handler'
import { expect, test, vi } from 'vitest'

// No DOM here: this is how a server that renders the app imports it.
test('on a server nothing is asked for', async () => {
  const send = vi.fn()
  const auth = createAuth({ fetch: send })
  expect(await auth.ready()).toEqual({ status: 'loading' })
  expect(auth.takeState()).toBeUndefined()
  expect(send).not.toHaveBeenCalled()
  auth.close()
})
