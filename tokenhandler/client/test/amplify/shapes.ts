// Compiled by types.test.ts: what compiles here with Amplify compiles with this package, and means the same.
import * as amplifyAuth from 'aws-amplify/auth'
import * as amplifyStorage from 'aws-amplify/storage'
import { Hub as AmplifyHub } from 'aws-amplify/utils'
import * as auth from 'cognito-token-handler/amplify/auth'
import * as storage from 'cognito-token-handler/amplify/storage'
import { Hub } from 'cognito-token-handler/amplify/utils'

const nothing = <T extends never>(): T | undefined => undefined

// Every name of Amplify is there, if only with the reason why it cannot exist.
nothing<Exclude<keyof typeof amplifyAuth, keyof typeof auth>>()
nothing<Exclude<keyof typeof amplifyStorage, keyof typeof storage>>()

// What a call of ours takes, Amplify takes, and what comes back is what Amplify gives.
type In<F> = F extends (...input: infer I) => unknown ? I : never

type Auth = 'getCurrentUser' | 'fetchUserAttributes' | 'fetchAuthSession' | 'signInWithRedirect' | 'signOut'
type Output<F extends (...input: never[]) => unknown> = Awaited<ReturnType<F>>
export const outputs: { [K in Auth]: (ours: Output<(typeof auth)[K]>) => Output<(typeof amplifyAuth)[K]> } = {
  getCurrentUser: (ours) => ours,
  fetchUserAttributes: (ours) => ours,
  fetchAuthSession: (ours) => ours,
  signInWithRedirect: (ours) => ours,
  signOut: (ours) => ours,
}
export const inputs = {
  fetchAuthSession: (...ours: In<typeof auth.fetchAuthSession>) => amplifyAuth.fetchAuthSession(...ours),
  signInWithRedirect: (...ours: In<typeof auth.signInWithRedirect>) => amplifyAuth.signInWithRedirect(...ours),
  signOut: (ours: auth.SignOutInput) => amplifyAuth.signOut(ours),
}

type Item = amplifyStorage.GetPropertiesWithPathOutput
export const objects = {
  uploadData: (ours: storage.UploadDataWithPathInput): [amplifyStorage.UploadDataWithPathOutput, unknown] => [storage.uploadData(ours), amplifyStorage.uploadData(ours as amplifyStorage.UploadDataWithPathInput)],
  downloadData: (ours: storage.DownloadDataWithPathInput): [amplifyStorage.DownloadDataWithPathOutput, unknown] => [storage.downloadData(ours), amplifyStorage.downloadData(ours)],
  getUrl: (ours: storage.GetUrlWithPathInput): [Promise<amplifyStorage.GetUrlWithPathOutput>, unknown] => [storage.getUrl(ours), amplifyStorage.getUrl(ours)],
  listPage: (ours: storage.ListPaginateWithPathInput): [Promise<amplifyStorage.ListPaginateWithPathOutput>, unknown] => [storage.list(ours), amplifyStorage.list(ours)],
  listAll: (ours: storage.ListAllWithPathInput): [Promise<amplifyStorage.ListAllWithPathOutput>, unknown] => [storage.list(ours), amplifyStorage.list(ours)],
  remove: (ours: storage.RemoveWithPathInput): [Promise<amplifyStorage.RemoveWithPathOutput>, unknown] => [storage.remove(ours), amplifyStorage.remove(ours)],
  copy: (ours: storage.CopyWithPathInput): [Promise<amplifyStorage.CopyWithPathOutput>, unknown] => [storage.copy(ours), amplifyStorage.copy(ours)],
  getProperties: (ours: storage.GetPropertiesWithPathInput): [Promise<Item>, unknown] => [storage.getProperties(ours), amplifyStorage.getProperties(ours)],
}

// A listener that was written for Amplify's Hub.
AmplifyHub.listen('auth', ({ payload }) => payload.event === 'signedIn' && console.log(payload.data.username, payload.data.userId))
Hub.listen('auth', ({ payload }) => payload.event === 'signedIn' && console.log(payload.data.username, payload.data.userId))
type Events = Parameters<Parameters<typeof Hub.listen>[1]>[0]['payload']['event']
export const events = (event: Events) => AmplifyHub.dispatch('auth', { event } as Parameters<typeof AmplifyHub.dispatch<'auth'>>[1])

// What cannot exist does not compile, and the message has the reason.
// @ts-expect-error a login form
auth.signIn({ username: 'ada', password: 'x' })
// @ts-expect-error an access token is needed
auth.updateUserAttributes({ userAttributes: { name: 'Ada' } })
// @ts-expect-error the URL's lifetime is the service's
storage.getUrl({ path: 'a', options: { expiresIn: 60 } })
// @ts-expect-error public/ by default
storage.list({ prefix: 'a' })
// @ts-expect-error one bucket
storage.uploadData({ path: 'a', data: 'x', options: { bucket: 'other' } })
export const token = async () => {
  const { tokens } = await auth.fetchAuthSession()
  // @ts-expect-error no token in the page
  return tokens?.accessToken
}
