"""What lossd is measured by; the README beside this file says what is compared with what."""
