"""Synthetic chest films: anatomy, opacities, exposure and the data set they make up."""
