// Compiled by types.test.ts: the calls of the columns "before" in README.md, with the libraries that have them.
import { AuthenticationDetails, CognitoUser, CognitoUserAttribute, CognitoUserPool, type CognitoUserSession } from 'amazon-cognito-identity-js'
import { Amplify } from 'aws-amplify'
import { get } from 'aws-amplify/api'
import {
  associateWebAuthnCredential, confirmResetPassword, confirmSignIn, confirmSignUp, fetchAuthSession, fetchUserAttributes, getCurrentUser, resetPassword,
  signIn, signInWithRedirect, signOut, signUp,
} from 'aws-amplify/auth'
import { Hub } from 'aws-amplify/utils'

const pool = new CognitoUserPool({ UserPoolId: 'eu-central-1_AbCdEfGhI', ClientId: 'client' })
const done = (error?: Error) => console.log(error)
const callbacks = { onSuccess: () => {}, onFailure: done }

export function signedIn(user: CognitoUser, session: CognitoUserSession): string {
  user.getSession((error: Error | null, found: CognitoUserSession | null) => console.log(error, found?.isValid()))
  user.refreshSession(session.getRefreshToken(), done)
  user.getUserAttributes(done)
  user.changePassword('old', 'new', done)
  user.updateAttributes([new CognitoUserAttribute({ Name: 'name', Value: 'Ada' })], done)
  user.setUserMfaPreference(null, { PreferredMfa: true, Enabled: true }, done)
  user.deleteUser(done)
  user.signOut()
  user.globalSignOut(callbacks)
  console.log(session.getIdToken().payload['email'])
  return `Bearer ${session.getIdToken().getJwtToken()}`
}

export function signedOut(user: CognitoUser): CognitoUser | null {
  user.authenticateUser(new AuthenticationDetails({ Username: 'ada', Password: 'x' }), callbacks)
  pool.signUp('ada', 'x', [], [], done)
  user.confirmRegistration('1', true, done)
  user.resendConfirmationCode(done)
  user.forgotPassword(callbacks)
  user.confirmPassword('1', 'x', callbacks)
  return pool.getCurrentUser()
}

export const amplify = [
  () => Amplify.configure({ Auth: { Cognito: { userPoolId: 'eu-central-1_AbCdEfGhI', userPoolClientId: 'client' } } }),
  () => signInWithRedirect({ provider: 'Google', customState: 'cart' }),
  () => signIn({ username: 'ada', password: 'x' }),
  () => confirmSignIn({ challengeResponse: '1' }),
  () => signUp({ username: 'ada', password: 'x' }),
  () => confirmSignUp({ username: 'ada', confirmationCode: '1' }),
  () => resetPassword({ username: 'ada' }),
  () => confirmResetPassword({ username: 'ada', confirmationCode: '1', newPassword: 'x' }),
  () => getCurrentUser(),
  () => fetchUserAttributes(),
  () => fetchAuthSession(),
  () => fetchAuthSession({ forceRefresh: true }),
  () => signOut(),
  () => signOut({ global: true }),
  () => associateWebAuthnCredential(),
  () => Hub.listen('auth', ({ payload }) => console.log(payload.event)),
  () => get({ apiName: 'orders', path: '/orders' }),
]
