// Takes the code from behind the # of the address, where no server or proxy sees it, into the form.
// It does not send the form: who presses the button decides to sign in, or to open the link, here.
const take = () => {
  const code = location.hash.slice(1);
  if (code === "") return;
  history.replaceState(null, "", location.pathname);
  const field = document.getElementById("code");
  field.value = code;
  field.form.querySelector("button").focus();
};
addEventListener("hashchange", take);
take();
