// Takes the one-time code from behind the # of the address, where no server or proxy sees it, into the form.
// It does not send the form: who presses the button decides to sign in here.
const take = () => {
  const code = location.hash.slice(1);
  if (code === "") return;
  history.replaceState(null, "", location.pathname);
  document.getElementById("code").value = code;
  document.getElementById("sign-in").focus();
};
addEventListener("hashchange", take);
take();
