// Shows what was typed into a field for a password.
for (const button of document.querySelectorAll('[data-show]')) {
  const field = document.getElementById(button.dataset.show)
  button.addEventListener('click', () => {
    const shown = field.type === 'password'
    field.type = shown ? 'text' : 'password'
    button.textContent = shown ? 'Hide' : 'Show'
    button.setAttribute('aria-label', `${button.textContent} the password`)
    field.focus()
  })
}

const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))

// Lets the browser use a passkey when the form is sent, and sends what that gives with it.
function onPasskey(form, refused, use) {
  form?.addEventListener('submit', async (event) => {
    event.preventDefault()
    const message = form.querySelector('.error')
    const button = form.querySelector('button')
    message.hidden = true
    button.disabled = true
    try {
      for (const [name, value] of Object.entries(await use(form.dataset))) form.elements[name].value = value
      form.submit()
    } catch (error) {
      message.textContent = error.name === 'NotAllowedError' ? refused : `This browser uses no passkey here: ${error.message}`
      message.hidden = false
      button.disabled = false
    }
  })
}

onPasskey(document.getElementById('passkey'), 'No passkey was added. Try again, or go back.', async ({ user: name }) => {
  const { id, response } = await navigator.credentials.create({
    publicKey: {
      rp: { name: 'Local stack' },
      user: { id: new TextEncoder().encode(name).slice(0, 64), name, displayName: name },
      challenge: crypto.getRandomValues(new Uint8Array(32)),
      pubKeyCredParams: [{ type: 'public-key', alg: -7 }, { type: 'public-key', alg: -257 }],
      authenticatorSelection: { residentKey: 'required', userVerification: 'preferred' },
    },
  })
  return { credential: id, key: base64(response.getPublicKey()) }
})

onPasskey(document.getElementById('passkey-signin'), 'No passkey was used. Try again, or sign in with the password.', async ({ challenge }) => {
  const { id, response } = await navigator.credentials.get({ publicKey: { challenge: new TextEncoder().encode(challenge) } })
  return {
    credential: id,
    client_data: base64(response.clientDataJSON),
    authenticator_data: base64(response.authenticatorData),
    signature: base64(response.signature),
  }
})
