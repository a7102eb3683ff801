// docs/amplify.md with the import lines as they were: compiled by types.test.ts.
import { fetchUserAttributes, getCurrentUser, signInWithRedirect, signOut } from 'aws-amplify/auth'
import { getUrl, list, uploadData } from 'aws-amplify/storage'
import { Hub } from 'aws-amplify/utils'

Hub.listen('auth', ({ payload }) => {
  if (payload.event === 'signedIn') console.log(payload.data.username)
})

export async function photos(file: File) {
  const { userId } = await getCurrentUser()
  const { email } = await fetchUserAttributes()
  await uploadData({ path: ({ identityId }) => `private/${identityId}/${file.name}`, data: file }).result
  const { items } = await list({ path: ({ identityId }) => `private/${identityId}/`, options: { listAll: true } })
  return { userId, email, urls: await Promise.all(items.map(({ path }) => getUrl({ path }))) }
}

export const login = () => signInWithRedirect({ provider: 'Google', customState: 'cart' })
export const logout = () => signOut({ global: true })
